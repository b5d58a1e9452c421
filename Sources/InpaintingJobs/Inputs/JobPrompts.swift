import DiffusionModels
import Failures
import PilotInpainting

/// The words of a job, as the text encoder reads them.
struct JobPrompts: Sendable {
    /// Of the unconditional branch and of the conditional one.
    private static let options = ["--negative-prompt", "--prompt"]

    /// The negative prompt and the prompt, in the order of the branches.
    let prompts: [TokenizedPrompt]
    /// Of the embeddings' files, by the names that the user gave.
    let fingerprints: [String: String]
    /// Things that did not prevent the reading but that the user should hear of; one line each.
    let warnings: [String]
    private let restoresMean: Bool
    let contextLength: Int

    /// - Parameter recorded: the job that is repeated, if one is: files under the names it gives must not have changed.
    /// - Throws: `Failure` naming the file or the option.
    init(_ settings: JobSettings, model: JobModel, repeating recorded: JobRecord?) throws {
        let (embeddings, fingerprints) = try Self.embeddings(settings, model, recorded)
        let length = model.contextLength
        let reader = model.promptReader(embeddings)
        let texts = [settings.negativePrompt, settings.prompt]
        let prompts = try zip(texts, Self.options).map {
            try reader.read($0, settings.promptSyntax ?? .plain, givenBy: $1)
        }
        var warnings: [String] = []
        for (prompt, name) in zip(prompts, ["negative prompt", "prompt"]) {
            guard let dropped = prompt.truncatedText else { continue }
            warnings.append(
                "the \(name) is longer than the \(length) tokens that the text encoder reads; dropped: "
                    + onOneLine(shortened(dropped, to: 300)))
        }
        let used = prompts.reduce(Set<Int>()) { $0.union($1.usedEmbeddings) }
        for (index, choice) in (settings.embedding ?? []).enumerated() where !used.contains(index) {
            warnings.append(
                "--embedding \(choice.file): its name \(quoted(embeddings[index].name)) is in neither prompt, so that "
                    + "it changes nothing")
        }
        self.prompts = prompts
        self.fingerprints = fingerprints
        self.warnings = warnings
        restoresMean = settings.restoresPromptMean ?? true
        contextLength = length
    }

    /// The tokens of the longer prompt.
    var tokens: Int { contextLength * (prompts.map(\.chunks.count).max() ?? 1) }

    /// What each branch works with: the embeddings of the negative prompt and of the prompt, in this order.
    func embeddings(on engine: some InpaintingEngine) async throws -> [Embedding] {
        let states = try await engine.embed(prompts.flatMap { $0.chunks.map(\.tokens) })
        var rest = states[...]
        return try zip(prompts, Self.options).map { prompt, option in
            defer { rest = rest.dropFirst(prompt.chunks.count) }
            let values = try zip(prompt.chunks, rest).map { chunk, states in
                guard states.values.allSatisfy(\.isFinite) else {
                    throw Failure.internalFault(
                        "the text encoder's output holds a NaN or an infinity; the model's weights may be damaged")
                }
                return try PromptWeighting.apply(
                    chunk.weights, to: states.values, restoresMean: restoresMean, givenBy: option)
            }
            return Embedding(
                values: Array(values.joined()), tokens: prompt.chunks.count * contextLength,
                width: rest.first?.width ?? 0)
        }
    }

    private static func embeddings(
        _ settings: JobSettings, _ model: JobModel, _ recorded: JobRecord?
    ) throws -> (embeddings: [TextEmbedding], fingerprints: [String: String]) {
        var embeddings: [TextEmbedding] = []
        var fingerprints: [String: String] = [:]
        for choice in settings.embedding ?? [] {
            let file = JobFile.embedding(choice)
            fingerprints[file.path] = try file.fingerprint(repeating: recorded)
            let embedding = try TextEmbedding(
                path: file.path, name: choice.token, encoder: model.description.textConfiguration,
                mostVectors: model.contextLength - 2)
            if let other = embeddings.firstIndex(where: { TextEmbedding.areEqual($0.name, embedding.name) }) {
                throw Failure.usage(
                    "--embedding \(file.path): has the name \(quoted(embedding.name)), as "
                        + "\(settings.embedding?[other].file ?? "") has; give one of them another with "
                        + "--embedding-token")
            }
            embeddings.append(embedding)
        }
        return (embeddings, fingerprints)
    }
}

/// The text in quotes on one line, with control characters and line breaks escaped.
private func onOneLine(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\"", "\\": result += "\\\(scalar)"
        default:
            let breaks: [Unicode.GeneralCategory] = [.control, .lineSeparator, .paragraphSeparator]
            result +=
                breaks.contains(scalar.properties.generalCategory)
                ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
    }
    return result + "\""
}
