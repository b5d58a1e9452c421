import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

/// A file that is refused, and what must be said of it.
struct BadLoRA: Sendable, CustomTestStringConvertible {
    let tensors: [StoredTensor]
    let metadata: [String: String]
    let words: [String]

    init(_ tensors: [StoredTensor], metadata: [String: String] = [:], _ words: String...) {
        (self.tensors, self.metadata, self.words) = (tensors, metadata, words)
    }

    var testDescription: String { words.joined(separator: ", ") }
}

@Suite struct LoRAFailureTests {
    private static let module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    private static let crossModule = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"

    private static func pair(_ module: String = module, _ outputs: Int = 8, _ inputs: Int = 8) -> [StoredTensor] {
        [
            StoredTensor("\(module).lora_down.weight", [2, inputs]),
            StoredTensor("\(module).lora_up.weight", [outputs, 2]),
        ]
    }

    private static func with(_ end: String, _ shape: [Int], _ values: [Float]? = nil) -> [StoredTensor] {
        let name = "\(module).\(end)"
        return pair() + [values.map { StoredTensor(name: name, shape: shape, values: $0) } ?? StoredTensor(name, shape)]
    }

    private static func settings(_ json: String) -> [String: String] { ["lora_adapter_metadata": json] }

    static let bad: [BadLoRA] = [
        // Halves.
        BadLoRA([pair()[0]], module, "both halves"), BadLoRA([pair()[1]], module, "both halves"),
        BadLoRA([StoredTensor("\(module).hada_w1_a", [8, 2])], "both halves"),
        BadLoRA(
            [StoredTensor("\(module).lokr_w1", [2, 2]), StoredTensor("\(module).lokr_w2_a", [4, 2])], "both halves"),
        BadLoRA([StoredTensor("\(module).alpha", [])], "found none"),
        BadLoRA(with("hada_w1_a", [8, 2]), "several kinds"),
        BadLoRA(
            [
                StoredTensor("\(module).lokr_w1", [2, 2]), StoredTensor("\(module).lokr_w2", [4, 4]),
                StoredTensor("\(module).lokr_w2_b", [2, 4]),
            ], "lokr_w2 whole, or as a product"),
        // Other kinds.
        BadLoRA(with("diff", [8, 8]), "(diff)"), BadLoRA(with("diff_b", [8]), "(diff_b)"),
        BadLoRA(with("on_input", [1]), "IA3"), BadLoRA(with("oft_blocks", [2, 4, 4]), "OFT"),
        BadLoRA(with("w_norm", [8]), "w_norm"), BadLoRA(with("hada_t1", [2, 2, 3, 3]), "Tucker"),
        BadLoRA(with("lokr_t2", [2, 2, 3, 3]), "Tucker"),
        BadLoRA(with("weight", [8, 8]), "\(module).weight", "another kind"),
        BadLoRA([StoredTensor("emb_params", [2, 8])], "\"emb_params\"", "expected a LoRA"),
        // Numbers.
        BadLoRA(with("alpha", [], [.nan]), "\(module).alpha", "finite"),
        BadLoRA(with("alpha", [], [.infinity]), "finite"), BadLoRA(with("alpha", [2]), "one number"),
        BadLoRA(
            [
                pair()[0],
                StoredTensor(
                    name: "\(module).lora_up.weight", shape: [8, 2],
                    values: [Float](
                        repeating: -.infinity, count: 16)),
            ], "lora_up", "finite"),
        BadLoRA(
            [
                StoredTensor("\(module).lora_down.weight", [0, 8]), StoredTensor("\(module).lora_up.weight", [8, 0]),
            ], "a rank and sizes of at least 1"),
        BadLoRA(pair(), metadata: settings("{\"unet.lora_alpha\": 1e999}"), "unet.lora_alpha", "a number"),
        BadLoRA(pair(), metadata: settings("{\"unet.alpha_pattern\": {\"a.*\": 1}}"), "pattern"),
        BadLoRA(pair(), metadata: settings("{\"unet.use_rslora\": 1}"), "true or false"),
        BadLoRA(pair(), metadata: settings("[1, 2"), "not valid JSON"),
        BadLoRA(pair(), metadata: settings(String(repeating: "[", count: 4000)), "nested"),
        // Shapes.
        BadLoRA([pair()[0], StoredTensor("\(module).lora_up.weight", [8, 3])], "lora_up", "2 columns"),
        BadLoRA([pair()[0], StoredTensor("\(module).lora_up.weight", [8])], "2 dimensions, or 4"),
        BadLoRA(pair(module, 8, 12), module, "[8, 8]", "8 x 12"), BadLoRA(pair(module, 4, 8), "4 x 8"),
        BadLoRA(
            [
                StoredTensor("\(module).lora_down.weight", [2, 8, 3, 3]),
                StoredTensor("\(module).lora_up.weight", [8, 2, 1, 1]),
            ], "kernel of 3 x 3"),
        BadLoRA(with("lora_mid.weight", [2, 3, 3, 3]), "lora_down"),
        BadLoRA(with("dora_scale", [3, 1]), "dora_scale", "[8, 1"), BadLoRA(with("dora_scale", []), "dora_scale"),
        BadLoRA(with("dora_scale", [1, 3]), "8 numbers, one for each input"),
        BadLoRA(with("lora_magnitude_vector", [2, 4]), "8 numbers, one for each output"),
        BadLoRA(
            [
                StoredTensor("lora_unet_conv_out.lora_down.weight", [1, 8, 1, 1]),
                StoredTensor("lora_unet_conv_out.lora_mid.weight", [1025, 1, 3, 3]),
                StoredTensor("lora_unet_conv_out.lora_up.weight", [4, 1025, 1, 1]),
            ], "lora_mid", "at most 1024"),
        // A Kronecker product that no number counts.
        BadLoRA(
            [
                StoredTensor(name: "\(module).lokr_w1_a", shape: [1, 1], values: [1]),
                StoredTensor("\(module).lokr_w1_b", [1, 1 << 20]), StoredTensor("\(module).lokr_w2", [1, 1 << 20]),
            ], "1 x 1099511627776"),
        // Names.
        BadLoRA(pair("lora_unet_mid_block_attention_0_proj_in"), "mid_block_attention_0", "none of the file's 1"),
        BadLoRA(pair() + pair("lora_unet_nowhere"), "\"lora_unet_nowhere\"", "1 of the file's 2"),
        BadLoRA(
            pair() + pair("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"), "under the name",
            "one change of"),
        BadLoRA(
            with("lora_A.weight", [2, 8]), "every factor once"),
        // Other families.
        BadLoRA(pair(crossModule, 320, 768), "Stable Diffusion 1.x", "width 24"),
        BadLoRA(pair(crossModule, 320, 1024), "Stable Diffusion 2.x"),
        BadLoRA(pair(crossModule, 640, 2048), "Stable Diffusion XL"),
        BadLoRA(pair("lora_te2_text_model_encoder_layers_0_self_attn_q_proj"), "Stable Diffusion XL"),
        BadLoRA(pair("transformer.single_transformer_blocks.0.attn.to_q"), "Flux"),
        BadLoRA(pair("lora_unet_joint_blocks_0_x_block_attn_qkv"), "Stable Diffusion 3"),
    ]

    @Test(arguments: bad)
    func isRefused(test: BadLoRA) throws {
        let scratch = try CheckpointScratch()
        let path = "\(scratch.path)/lora.safetensors"
        try SafetensorsWriter.write(to: path, test.tensors, metadata: test.metadata)
        let targets = try LoRAFixture().targets
        let failure = try failure { _ = try LoRASet([WeightedLoRA(try LoRAFile(path: path))], for: targets) }
        #expect(failure.kind == .badData && failure.message.contains(path))
        for word in test.words { #expect(failure.message.contains(word), "\(failure.message)") }
        // Without strength, too.
        #expect(throws: Failure.self) {
            _ = try LoRASet([WeightedLoRA(try LoRAFile(path: path), unetScale: 0, textScale: 0)], for: targets)
        }
    }

    @Test func picklesAreRefusedByContent() throws {
        let scratch = try CheckpointScratch()
        for start in ["PK\u{3}\u{4}", "\u{80}\u{2}}"] {
            let path = "\(scratch.path)/lora.safetensors"
            let bytes = start.unicodeScalars.map { UInt8($0.value) } + [UInt8](repeating: 0, count: 100)
            try Data(bytes).write(to: URL(filePath: path))
            let failure = try failure { _ = try LoRAFile(path: path) }
            #expect(failure.kind == .badData && failure.message.contains("pickle"))
        }
        let missing = try failure { _ = try LoRAFile(path: "\(scratch.path)/none.safetensors") }
        #expect(missing.kind == .missingInput)
    }

    /// 64 at once: the sum of all.
    @Test func manyAreMerged() throws {
        let fixture = try LoRAFixture()
        let lora = try LoRAFile(path: LoRAFixture.path("kohya"))
        let all = try LoRASet(
            [WeightedLoRA](repeating: WeightedLoRA(lora, unetScale: 1.0 / 64), count: 64), for: fixture.targets)
        let one = try fixture.tensors(of: .unet, try fixture.set("kohya"))
        for (key, tensor) in try fixture.tensors(of: .unet, all) {
            let expected = try #require(one[key]).float32Values().map(Double.init)
            if expected.count > 1 {
                #expect(
                    errorOverDeviation(tensor.float32Values(), expected) < 1e-6 || Set(expected).count == 1, "\(key)")
            }
        }
    }
}
