import ArgumentParser
import DiffusionModels
import InpaintingJobs

/// How the words are read.
struct PromptOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "a1111: (word:1.3) counts more, (word) 1.1 times as much, [word] less, \\( and \\[ are text, BREAK begins "
                + "another chunk of 75 tokens, and so does a prompt that is longer; plain: brackets are text, and "
                + "what is too long is cut off (default: a1111; the recorded one for recorded words).",
            valueName: "a1111|plain"))
    var promptSyntax: PromptSyntax?

    @Flag(
        inversion: .prefixedNo,
        help: "Bring the mean of the prompt's states back to what it was before the weights (default: on).")
    var promptRescale: Bool?

    @Option(
        help: ArgumentHelp(
            "Textual inversion, safetensors: its name in a prompt stands for its vectors. May be repeated.",
            valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var embedding: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "What the embedding is called in the prompts, one for each --embedding (default: what its file says, or "
                + "is called).", valueName: "name"))
    var embeddingToken: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Take the prompt's states from the text encoder's Nth layer from the end: 2 leaves out the last (default: "
                + "1).", valueName: "N"))
    var clipSkip: Int?

    func apply(to draft: inout JobDraft) throws {
        if let promptSyntax { draft.promptSyntax = promptSyntax }
        if let promptRescale { draft.settings.restoresPromptMean = promptRescale ? nil : false }
        if let clipSkip { draft.settings.clipSkip = clipSkip == 1 ? nil : clipSkip }
        let tokens = try RepeatedOptions.values(
            embeddingToken, "--embedding-token", for: "--embedding", count: embedding.count)
        guard !embedding.isEmpty else { return }
        draft.settings.embedding = zip(embedding, tokens).map { EmbeddingChoice(file: $0, token: $1) }
    }
}

extension PromptSyntax: ExpressibleByArgument {}
