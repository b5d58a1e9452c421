import DiffusionModels
import Foundation
import TensorKernels
import Testing

/// What prompts come to by an implementation apart: scripts/fixtures/make_prompt_fixtures.py.
struct PromptFixture: Decodable {
    struct Case: Decodable {
        let model: String
        let syntax: PromptSyntax
        let prompt: String
        /// nil for a prompt that is refused.
        let chunks: [Chunk]?
    }

    struct Chunk: Decodable {
        /// Between start and end.
        let tokens: [Token]
        /// How many of each; empty where all are 1.
        let weights: [[Double]]
    }

    /// An id, or an embedding's place and row.
    enum Token: Decodable, Equatable {
        case id(Int32)
        case row([Int])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let id = try? value.decode(Int32.self) {
                self = .id(id)
            } else {
                self = .row(try value.decode([Int].self))
            }
        }
    }

    struct Encoded: Decodable {
        let model: String
        let prompt: String
        let syntax: PromptSyntax
        let rescale: Bool
        let skip: Int

        enum CodingKeys: String, CodingKey {
            case model, prompt, syntax, rescale
            case skip = "clip_skip"
        }
    }

    let embeddings: [String]
    let encoded: [Encoded]
    let cases: [Case]

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/prompts"

    static func read() throws -> PromptFixture {
        try JSONDecoder().decode(
            PromptFixture.self, from: Data(contentsOf: URL(filePath: "\(folder)/prompts.json")))
    }

    static func tensors() throws -> [String: StoredTensor] {
        try SafetensorsFile(path: "\(folder)/states.safetensors").tensors
    }

    /// The embeddings for a model.
    func embeddings(of model: String, in tensors: [String: StoredTensor]) throws -> [TextEmbedding] {
        try embeddings.enumerated().map { place, name in
            let tensor = try #require(tensors["\(model).embedding.\(place)"])
            return TextEmbedding(name: name, vectors: tensor.float32Values(), count: tensor.shape[0])
        }
    }
}

/// A tiny model's way from a prompt to the text encoder's tokens.
struct PromptModel {
    let folder: ModelFolder
    let tokenizer: CLIPTokenizer
    let reader: PromptReader
    let length: Int
    let vocabularySize: Int

    init(_ name: String, _ embeddings: [TextEmbedding] = []) throws {
        folder = try ModelFixture(name).folder
        let configuration = try folder.textEncoderConfiguration()
        vocabularySize = configuration.vocabularySize
        length = configuration.maximumPositions
        tokenizer = try folder.tokenizer.tokenizer(vocabularySize: vocabularySize)
        reader = PromptReader(
            tokenizer, contextLength: length, vocabularySize: vocabularySize, embeddings: embeddings)
    }

    func read(_ prompt: String, _ syntax: PromptSyntax = .a1111) throws -> TokenizedPrompt {
        try reader.read(prompt, syntax, givenBy: "--prompt")
    }
}
