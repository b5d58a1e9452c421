import DiffusionModels
import Foundation

extension CLIPTokenizer {
    /// The one chunk of a prompt that is all text, and what of it does not fit.
    func prompt(_ text: String, contextLength: Int) throws -> (ids: [Int32], truncatedText: String?) {
        let reader = PromptReader(self, contextLength: contextLength, vocabularySize: 1 << 20)
        let prompt = try reader.read(text, .plain, givenBy: "--prompt")
        precondition(prompt.chunks.count == 1, "plain text is one chunk")
        return (prompt.chunks[0].tokens.ids, prompt.truncatedText)
    }
}

/// A tokenizer folder made by scripts/fixtures/make_tokenizer_fixtures.py, with what transformers 5 gives for it.
struct TokenizerFixture: Decodable {
    struct Prompt: Decodable {
        /// Index among the strings.
        let string: Int
        let length: Int
        let ids: [Int32]
    }

    let vocabularySize: Int
    let start: Int32
    let end: Int32
    let pad: Int32
    /// For each string its ids, without start and end, spaces between.
    let ids: [String]
    let prompts: [Prompt]

    /// Where the fixtures are; another folder made by the script can be checked by naming it in the environment.
    static let folder: String =
        ProcessInfo.processInfo.environment["TOKENIZER_FIXTURES"]
        ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/tokenizer"

    static var names: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasSuffix(".json") }.sorted()
        }
    }

    static func strings() throws -> [String] {
        try JSONDecoder().decode([String].self, from: data("strings.json"))
    }

    static func named(_ name: String) throws -> TokenizerFixture {
        try JSONDecoder().decode(TokenizerFixture.self, from: data("\(name)/expected.json"))
    }

    func tokenizer(_ name: String) throws -> CLIPTokenizer {
        try CLIPTokenizer(folder: "\(Self.folder)/\(name)", vocabularySize: vocabularySize)
    }

    private static func data(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
}
