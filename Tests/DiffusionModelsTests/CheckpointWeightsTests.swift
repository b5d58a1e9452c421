import DiffusionModels
import Failures
import TensorKernels
import Testing

@Suite("Weights out of a checkpoint")
struct CheckpointWeightsTests {
    let scratch: CheckpointScratch

    init() throws { scratch = try CheckpointScratch() }

    @Test("CLIP's names with their prefix and without, and its list of positions")
    func textEncoder() throws {
        let weights = try scratch.weights(
            .textEncoder,
            [
                StoredTensor("text_model.final_layer_norm.weight", [2], from: 5),
                StoredTensor("final_layer_norm.bias", [2], from: 7),
                StoredTensor("text_model.embeddings.position_ids", [1, 77]),
            ])
        #expect(weights.contains("final_layer_norm.weight"))
        #expect(!weights.contains("final_layer_norm.other"))
        #expect(weights.tensor("final_layer_norm.weight", [2]).float32Values() == [5, 6])
        #expect(weights.tensor("final_layer_norm.bias", [2]).float32Values() == [7, 8])
        try weights.finish()
    }

    @Test("the VAE's attention under its older names, as convolution or linear layer")
    func olderAttention() throws {
        let prefix = "encoder.mid_block.attentions.0"
        let weights = try scratch.weights(
            .vae,
            [
                StoredTensor("\(prefix).query.weight", [2, 2, 1, 1], from: 1),
                StoredTensor("\(prefix).key.weight", [2, 2], from: 2),
                StoredTensor("\(prefix).value.bias", [2], from: 3),
                StoredTensor("\(prefix).proj_attn.weight", [2, 2], from: 4),
                StoredTensor("encoder.mid_block.attentions.1.to_q.weight", [2, 2], from: 5),
            ])
        #expect(weights.tensor("\(prefix).to_q.weight", [2, 2]).float32Values() == [1, 2, 3, 4])
        #expect(weights.tensor("\(prefix).to_q.weight", [2, 2]).shape == [2, 2])
        #expect(weights.tensor("\(prefix).to_k.weight", [2, 2, 1, 1]).shape == [2, 2, 1, 1])
        #expect(weights.tensor("\(prefix).to_v.bias", [2]).float32Values() == [3, 4])
        #expect(weights.tensor("\(prefix).to_out.0.weight", [2, 2]).float32Values() == [4, 5, 6, 7])
        #expect(weights.tensor("encoder.mid_block.attentions.1.to_q.weight", [2, 2]).float32Values() == [5, 6, 7, 8])
        try weights.finish()
    }

    @Test("what is missing, misshapen or left over is listed by name, all at once")
    func lists() throws {
        let weights = try scratch.weights(
            .unet,
            [StoredTensor("a", [2, 3]), StoredTensor("left.over", [1]), StoredTensor("used", [1], from: 9)]
                + (0..<25).map { StoredTensor("extra.\($0)", [1]) })
        let wrong = weights.tensor("a", [3, 2])
        #expect(wrong.isPlaceholder && wrong.shape == [3, 2])
        #expect(wrong.float32Values() == [0, 0, 0, 0, 0, 0])
        #expect(weights.tensor("gone", [2]).float32Values() == [0, 0])
        _ = weights.tensor("gone", [2])
        #expect(weights.tensor("used", [1]).float32Values() == [9])
        let error = try failure { try weights.finish() }
        #expect(error.kind == .badData)
        for words in [
            "unet/diffusion_pytorch_model.safetensors", "1 missing: \"gone\"",
            "1 of another shape: \"a\" is [2, 3], expected [3, 2]", "26 surplus: \"extra.0\"", "and 16 more",
        ] {
            #expect(error.message.contains(words), "\(error.message)")
        }
    }

    @Test("a network that takes a part of the checkpoint")
    func part() throws {
        let weights = try scratch.weights(.unet, [StoredTensor("a", [1]), StoredTensor("b", [1])])
        _ = weights.tensor("a", [1])
        #expect(try failure { try weights.finish() }.message.contains("1 surplus: \"b\""))
        weights.expect([TensorRequest(key: "b", shape: [1])])
        try weights.finish()
        weights.expect([TensorRequest(key: "c", shape: [1])])
        #expect(try failure { try weights.finish() }.message.contains("1 missing: \"c\""))
    }

    @Test("shapes of equal size are not equal, but for the kernel of a 1x1 convolution")
    func shapes() throws {
        let weights = try scratch.weights(
            .unet, [StoredTensor("w", [4, 2]), StoredTensor("k", [4, 2, 1, 1]), StoredTensor("b", [4])])
        #expect(weights.tensor("w", [4, 2, 1, 1]).float32Values().count == 8)
        #expect(weights.tensor("k", [4, 2]).float32Values().count == 8)
        weights.expect([TensorRequest(key: "b", shape: [4])])
        try weights.finish()
        #expect(weights.tensor("b", [4, 1]).isPlaceholder)
        let others = CheckpointWeights(weights.checkpoint)
        for shape in [[2, 4], [8], [4, 2, 1], [4, 1, 2, 1]] { #expect(others.tensor("w", shape).isPlaceholder) }
    }

    @Test("weights that are NaN, or of a type that no network has, are named")
    func unusable() throws {
        let weights = try scratch.weights(
            .unet, [StoredTensor(name: "w", shape: [3], values: [1, .nan, .infinity]), StoredTensor("v", [1])])
        _ = weights.tensor("w", [3])
        _ = weights.tensor("v", [1])
        #expect(try failure { try weights.finish() }.message.contains("\"w\" is NaN or infinite at element 1"))

        let path = scratch.path + "/unet/diffusion_pytorch_model.safetensors"
        try SafetensorsWriter.write(to: path, [TensorDeclaration(name: "n", elementType: .int64, shape: [1])]) {
            payload in
            try [Int64(1)].withUnsafeBytes { try payload.append($0) }
        }
        let integers = CheckpointWeights(try ModelFolder(scratch.path).weights(of: .unet))
        #expect(integers.tensor("n", [1]).isPlaceholder)
        #expect(try failure { try integers.finish() }.message.contains("\"n\" is I64, expected F32, F16 or BF16"))
    }

    @Test("recording takes down each tensor once, in order, and holds nothing")
    func recording() {
        let weights = RecordingWeights()
        let large = weights.tensor("b", [1 << 20, 1 << 20])
        #expect(large.isPlaceholder && large.count == 1 << 40)
        _ = weights.tensor("a", [3])
        _ = weights.tensor("b", [1 << 20, 1 << 20])
        #expect(weights.requests.map(\.key) == ["b", "a"])
        #expect(weights.parameterCount == 3 + 1 << 40)
        #expect(!weights.contains("a"))
    }
}
