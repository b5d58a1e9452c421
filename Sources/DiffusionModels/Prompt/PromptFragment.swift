/// A part of a prompt in AUTOMATIC1111's syntax.
public enum PromptFragment: Equatable, Sendable {
    /// Words of one weight; each fragment is tokenised by itself.
    case text(String, weight: Double)
    /// `BREAK`: what follows opens another chunk.
    case chunkEnd

    /// Reads a prompt: `(x)` weighs 1.1 times as much, `[x]` 1 / 1.1 times, `(x:1.3)` 1.3 times, one inside the other
    /// their product; a backslash makes a bracket or a backslash text; brackets that nothing closes reach to the end.
    ///
    /// - Parameter option: what gives the prompt, for messages.
    /// - Throws: `Failure.usage` for what is not read: the web UI's schedules, and weights that are no numbers.
    public static func fragments(of prompt: String, givenBy option: String) throws -> [PromptFragment] {
        var parser = PromptParser(prompt, option)
        return try parser.fragments()
    }

    /// Whether the prompt has nothing that means more than itself in this syntax, so that it is one fragment.
    public static func isPlain(_ prompt: String) -> Bool {
        let scalars = Array(prompt.unicodeScalars)
        return !scalars.contains { "()[]\\".unicodeScalars.contains($0) }
            && scalars.ranges(ofWord: "BREAK").isEmpty && scalars.ranges(ofWord: "AND").isEmpty
    }
}
