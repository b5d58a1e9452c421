import Failures
import Foundation

/// A tokenizer to be written as a folder, as diffusers reads it.
struct TokenizerFolder {
    /// Ids by token.
    let tokens: [String: Int]
    /// The text of `merges.txt`.
    let merges: String
    /// The token that fills a prompt up.
    let paddingToken: String
    let contextLength: Int

    /// Writes `vocab.json`, `merges.txt` and the two files that name the special tokens.
    /// - Throws: `Failure.inputOutput`.
    func write(to folder: String) throws {
        let special = [
            "bos_token": CLIPVocabulary.start, "eos_token": CLIPVocabulary.end, "unk_token": CLIPVocabulary.end,
            "pad_token": paddingToken,
        ]
        try JSONFile.write(tokens, to: "\(folder)/vocab.json")
        try AtomicFile.write(to: "\(folder)/merges.txt") { try $0.write(merges) }
        try JSONFile.write(special, to: "\(folder)/special_tokens_map.json")
        try JSONFile.write(
            Settings(special: special, contextLength: contextLength), to: "\(folder)/tokenizer_config.json")
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

/// Writes the small JSON files of a model's folder.
enum JSONFile {
    /// The same value gives the same bytes.
    /// - Throws: `Failure.inputOutput`.
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(value)
        try AtomicFile.write(to: path) { try $0.write(Array(data) + [UInt8(ascii: "\n")]) }
    }
}
