/// The smallest CLIP tokenizer: every byte is a token, alone or at the end of a word, and nothing is merged.
///
/// Any text has ids in it, if more of them than with a trained vocabulary.
struct RandomTokenizer {
    let vocabularySize: Int
    let paddingToken: Int
    let contextLength: Int

    init(for configuration: TextEncoderConfiguration) {
        vocabularySize = configuration.vocabularySize
        paddingToken = configuration.paddingToken ?? configuration.vocabularySize - 1
        contextLength = configuration.maximumPositions
    }

    /// Writes the tokenizer's files.
    /// - Throws: `Failure.inputOutput`.
    func write(to folder: String) throws {
        let tokens = tokens
        let padding = tokens.first { $0.value == paddingToken }?.key ?? CLIPVocabulary.end
        try TokenizerFolder(
            tokens: tokens, merges: "#version: 0.2\n", paddingToken: padding, contextLength: contextLength
        ).write(to: folder)
    }

    /// Ids by token: 256 bytes, the same at a word's end, and the special tokens in the last two places.
    private var tokens: [String: Int] {
        let symbols = CLIPVocabulary.byteSymbols
        var tokens: [String: Int] = [:]
        for (index, symbol) in symbols.enumerated() {
            tokens[symbol] = index
            tokens[symbol + CLIPVocabulary.endOfWord] = symbols.count + index
        }
        tokens[CLIPVocabulary.start] = vocabularySize - 2
        tokens[CLIPVocabulary.end] = vocabularySize - 1
        return tokens
    }
}
