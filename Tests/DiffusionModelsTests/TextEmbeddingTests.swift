import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

/// Files of textual inversions: what is read, and what is refused by name.
@Suite struct TextEmbeddingTests {
    private let scratch: CheckpointScratch
    private let encoder: TextEncoderConfiguration

    init() throws {
        scratch = try CheckpointScratch()
        encoder = try ModelFixture("sd1").folder.textEncoderConfiguration()
    }

    private func read(_ tensors: [StoredTensor], as file: String = "my cat.v2.safetensors", name: String? = nil) throws
        -> TextEmbedding
    {
        try scratch.write(tensors, to: file)
        return try TextEmbedding(path: "\(scratch.path)/\(file)", name: name, encoder: encoder, mostVectors: 75)
    }

    private func refusal(_ tensors: [StoredTensor]) throws -> Failure {
        let refusal = try failure { _ = try read(tensors) }
        #expect(refusal.kind == .badData && refusal.message.contains("my cat.v2.safetensors"))
        return refusal
    }

    @Test func bothLayouts() throws {
        let one = try read([StoredTensor("<cat-toy>", [24])])
        #expect((one.name, one.count) == ("<cat-toy>", 1) && one.vectors == (0..<24).map(Float.init))
        let several = try read([StoredTensor("emb_params", [3, 24])])
        #expect((several.name, several.count) == ("my cat.v2", 3) && several.vectors.count == 72)
        #expect(try read([StoredTensor("emb_params", [1, 24])], name: "x").name == "x")
        #expect(try read([StoredTensor("a", [75, 24])], name: "y").count == 75)
    }

    @Test func whatDoesNotFit() throws {
        #expect(try refusal([StoredTensor("a", [76, 24])]).message.contains("at most 75 vectors"))
        let width = try refusal([StoredTensor("a", [2, 32])]).message
        #expect(width.contains("24 wide") && width.contains("found 32"))
        #expect(
            try refusal([StoredTensor("clip_g", [2, 24]), StoredTensor("clip_l", [2, 24])]).message.contains("SDXL"))
        #expect(try refusal([StoredTensor("clip_g", [2, 24])]).message.contains("SDXL"))
        #expect(try refusal([]).message.contains("found 0"))
        let two = try refusal([StoredTensor("a", [24]), StoredTensor("b", [24])]).message
        #expect(two.contains("\"a\", \"b\""))
        #expect(try refusal([StoredTensor("a", [1, 1, 24])]).message.contains("[1, 1, 24]"))
        #expect(try refusal([StoredTensor("a", [])]).message.contains("shape []"))
        #expect(try refusal([StoredTensor("a", [0, 24])]).message.contains("[0, 24]"))
        #expect(try refusal([StoredTensor(" ", [24])]).message.contains("--embedding-token"))
        var values = [Float](repeating: 1, count: 24)
        values[7] = .nan
        #expect(
            try refusal([StoredTensor(name: "a", shape: [24], values: values)]).message.contains("element 7"))
    }

    /// By content, whatever the name says.
    @Test(arguments: [[0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0], [0x80, 2, 0x7D, 0x71, 0, 0, 0, 0, 0, 0, 0, 0]])
    func pickles(bytes: [UInt8]) throws {
        try FileManager.default.createDirectory(atPath: scratch.path, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: "\(scratch.path)/a.safetensors"))
        let refusal = try failure {
            _ = try TextEmbedding(path: "\(scratch.path)/a.safetensors", name: nil, encoder: encoder, mostVectors: 75)
        }
        #expect(refusal.kind == .badData && refusal.message.contains("pickle"))
    }

    @Test func namesAreOneInAnyCase() {
        #expect(TextEmbedding.areEqual("Cat-É", "cAT-é") && !TextEmbedding.areEqual("cat", "cats"))
    }
}
