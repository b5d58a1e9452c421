/// How the text of a prompt is read.
public enum PromptSyntax: String, Codable, CaseIterable, Sendable {
    /// Brackets are weights, `BREAK` ends a chunk, and a long prompt has several chunks: as in AUTOMATIC1111's web UI.
    case a1111
    /// All of it is text, and what does not fit into the text encoder's context is cut off.
    case plain
}
