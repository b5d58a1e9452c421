import Failures
import Foundation

/// The smallest CLIP tokenizer: every byte is a token, alone or at the end of a word, and nothing is merged.
///
/// Any text has ids in it, if more of them than with a trained vocabulary.
struct RandomTokenizer {
    let vocabularySize: Int
    let paddingToken: Int
    let contextLength: Int

    private static let start = "<|startoftext|>"
    private static let end = "<|endoftext|>"

    init(for configuration: TextEncoderConfiguration) {
        vocabularySize = configuration.vocabularySize
        paddingToken = configuration.paddingToken ?? configuration.vocabularySize - 1
        contextLength = configuration.maximumPositions
    }

    /// Writes `vocab.json`, `merges.txt` and the two files that name the special tokens.
    /// - Throws: `Failure.inputOutput`.
    func write(to folder: String) throws {
        let tokens = tokens
        let padding = tokens.first { $0.value == paddingToken }?.key ?? Self.end
        let special = [
            "bos_token": Self.start, "eos_token": Self.end, "unk_token": Self.end, "pad_token": padding,
        ]
        try RandomModel.write(json: tokens, to: "\(folder)/vocab.json")
        try AtomicFile.write(to: "\(folder)/merges.txt") { try $0.write("#version: 0.2\n") }
        try RandomModel.write(json: special, to: "\(folder)/special_tokens_map.json")
        try RandomModel.write(
            json: Settings(special: special, contextLength: contextLength), to: "\(folder)/tokenizer_config.json")
    }

    /// Ids by token: 256 bytes, the same at a word's end, and the special tokens in the last two places.
    private var tokens: [String: Int] {
        let symbols = Self.byteSymbols
        var tokens: [String: Int] = [:]
        for (index, symbol) in symbols.enumerated() {
            tokens[symbol] = index
            tokens[symbol + "</w>"] = symbols.count + index
        }
        tokens[Self.start] = vocabularySize - 2
        tokens[Self.end] = vocabularySize - 1
        return tokens
    }

    /// A printable character per byte, in the order of GPT-2's and CLIP's vocabularies: first the bytes that are
    /// printable characters of Latin-1, then the others, which are given the characters from U+0100 on.
    private static var byteSymbols: [String] {
        let printable = Array(0x21...0x7e) + Array(0xa1...0xac) + Array(0xae...0xff)
        let others = 0x100..<0x100 + (256 - printable.count)
        return (printable + others).compactMap { Unicode.Scalar($0).map(String.init) }
    }

    private struct Settings: Encodable {
        let special: [String: String]
        let contextLength: Int

        enum CodingKeys: String, CodingKey {
            case tokenizerClass = "tokenizer_class"
            case contextLength = "model_max_length"
            case addsPrefixSpace = "add_prefix_space"
        }

        func encode(to encoder: any Encoder) throws {
            try special.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode("CLIPTokenizer", forKey: .tokenizerClass)
            try container.encode(contextLength, forKey: .contextLength)
            try container.encode(false, forKey: .addsPrefixSpace)
        }
    }
}
