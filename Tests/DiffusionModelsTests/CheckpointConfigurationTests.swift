import DiffusionModels
import Failures
import Foundation
import Testing

@Suite("Configurations of networks")
struct CheckpointConfigurationTests {
    let scratch: CheckpointScratch
    let folder: ModelFolder

    init() throws {
        scratch = try CheckpointScratch()
        try scratch.write(CheckpointScratch.index, to: "model_index.json")
        folder = try ModelFolder(scratch.path)
    }

    private func unet(_ json: String) throws -> UNetConfiguration {
        try scratch.write(json, to: "unet/config.json")
        return try folder.unetConfiguration()
    }

    @Test("an absent key has diffusers' default")
    func defaults() throws {
        let unet = try unet("{}")
        #expect(unet.blockChannels == [320, 640, 1280, 1280])
        #expect(unet.layersPerBlock == [2, 2, 2, 2])
        #expect(unet.headCounts == [8, 8, 8, 8])
        #expect(unet.downBlockTypes == [.crossAttention, .crossAttention, .crossAttention, .plain])
        #expect(unet.upBlockTypes == [.plain, .crossAttention, .crossAttention, .crossAttention])
        #expect(unet.crossAttentionDimension == 1280)
        #expect(unet.timeEmbeddingDimension == 1280)
        #expect(unet.flipsSineToCosine && !unet.usesLinearProjection)
        try scratch.write("{}", to: "text_encoder/config.json")
        let text = try folder.textEncoderConfiguration()
        #expect(text.hiddenSize == 512 && text.activation == .quickGELU && text.maximumPositions == 77)
        try scratch.write("{}", to: "vae/config.json")
        let vae = try folder.vaeConfiguration()
        #expect(vae.blockChannels == [64] && vae.downsamplingFactor == 1 && vae.scalingFactor == 0.18215)
    }

    @Test("numbers or lists; the number of heads under either name")
    func lists() throws {
        #expect(try unet(#"{"attention_head_dim": [5, 10, 20, 20]}"#).headCounts == [5, 10, 20, 20])
        #expect(try unet(#"{"attention_head_dim": 8, "num_attention_heads": 4}"#).headCounts == [4, 4, 4, 4])
        #expect(try unet(#"{"attention_head_dim": 8, "num_attention_heads": null}"#).headCounts == [8, 8, 8, 8])
        #expect(try unet(#"{"layers_per_block": [1, 2, 3, 4]}"#).layersPerBlock == [1, 2, 3, 4])
        #expect(try unet(#"{"transformer_layers_per_block": [1, 2, 3, 4]}"#).transformerLayers == [1, 2, 3, 4])
        #expect(try unet(#"{"sample_size": [64, 96]}"#).sampleSize == 96)
        #expect(try unet(#"{"time_embedding_dim": 512, "resnet_out_scale_factor": 1.0}"#).timeEmbeddingDimension == 512)
        #expect(try unet(#"{"only_cross_attention": [false, false], "unheard_of": {"a": [1]}}"#).inputChannels == 4)
        #expect(try unet(#"{"in_channels": 9}"#).takesMaskedImage && !(try unet("{}").takesMaskedImage))
    }

    @Test(
        "what is not supported or absurd is refused by file, key, expected and found",
        arguments: [
            (#""in_channels": 5"#, "in_channels", "found 5: a depth-guided UNet"),
            (#""in_channels": 3"#, "in_channels", "9, an inpainting UNet, found 3"),
            (#""in_channels": 0"#, "in_channels", "found 0"), (#""in_channels": "9""#, "in_channels", "\"9\""),
            (#""out_channels": 8"#, "out_channels", "expected 4, found 8"),
            (#""block_out_channels": [1000000, 1, 1, 1]"#, "block_out_channels[0]", "16384"),
            (#""block_out_channels": [0, 1, 1, 1]"#, "block_out_channels[0]", "found 0"),
            (#""block_out_channels": []"#, "block_out_channels", "1 to 8"),
            (#""block_out_channels": [32,32,32,32,32,32,32,32,32]"#, "block_out_channels", "1 to 8"),
            (#""block_out_channels": [32, 32]"#, "down_block_types", "a list of 2"),
            (#""block_out_channels": [320, 640, 1280, 1281]"#, "block_out_channels[3]", "multiple of norm_num_groups"),
            (#""block_out_channels": [16384, 16384, 16384, 16384]"#, "block_out_channels", "parameters"),
            (#""block_out_channels": 320"#, "block_out_channels", "found 320"),
            (#""block_out_channels": [320.5, 640, 1280, 1280]"#, "block_out_channels[0]", "320.5"),
            (#""block_out_channels": ["320", 640, 1280, 1280]"#, "block_out_channels[0]", "\"320\""),
            (#""layers_per_block": 0"#, "layers_per_block", "1 to 64"),
            (#""layers_per_block": [1, 2]"#, "layers_per_block", "a list of 4"),
            (#""layers_per_block": true"#, "layers_per_block", "true"),
            (#""attention_head_dim": 7"#, "attention_head_dim", "divides"),
            (#""attention_head_dim": 0"#, "attention_head_dim", "found 0"),
            (#""norm_num_groups": 0"#, "norm_num_groups", "found 0"),
            (#""norm_eps": -1"#, "norm_eps", "positive"), (#""norm_eps": 1e-60"#, "norm_eps", "positive"),
            (
                #""down_block_types": ["AttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]"#,
                "down_block_types[0]", "AttnDownBlock2D"
            ),
            (#""mid_block_type": "UNetMidBlock2D""#, "mid_block_type", "UNetMidBlock2DCrossAttn"),
            (#""act_fn": "relu""#, "act_fn", "relu"), (#""class_embed_type": "timestep""#, "class_embed_type", "null"),
            (#""addition_embed_type": "text_time""#, "addition_embed_type", "text_time"),
            (#""time_cond_proj_dim": 256"#, "time_cond_proj_dim", "256"),
            (#""dual_cross_attention": true"#, "dual_cross_attention", "true"),
            (#""only_cross_attention": [false, true]"#, "only_cross_attention", "[false, true]"),
            (#""resnet_time_scale_shift": "scale_shift""#, "resnet_time_scale_shift", "scale_shift"),
            (#""conv_in_kernel": 5"#, "conv_in_kernel", "5"),
            (#""_class_name": "UNet2DModel""#, "_class_name", "UNet2DModel"),
            (#""transformer_layers_per_block": [[1], [1], [1], [1]]"#, "transformer_layers_per_block[0]", "[1]"),
            (#""freq_shift": 99999999999999999999"#, "freq_shift", "found 1e+20"),
        ])
    func refused(member: String, key: String, words: String) throws {
        let error = try failure { _ = try unet("{\(member)}") }
        #expect(error.kind == .badData)
        #expect(error.message.contains("unet/config.json: \(key)"), "\(error.message)")
        #expect(error.message.contains(words), "\(error.message)")
    }

    @Test("the other networks' configurations are checked too")
    func others() throws {
        for (member, key) in [
            (#""down_block_types": ["AttnDownEncoderBlock2D"]"#, "down_block_types[0]"),
            (#""in_channels": 4"#, "in_channels"),
            (#""latent_channels": 0"#, "latent_channels"), (#""scaling_factor": 0"#, "scaling_factor"),
            (#""shift_factor": 0.1"#, "shift_factor"), (#""latents_mean": [0.1]"#, "latents_mean"),
            (#""use_quant_conv": 1"#, "use_quant_conv"), (#""_class_name": "AutoencoderTiny""#, "_class_name"),
        ] {
            try scratch.write("{\(member)}", to: "vae/config.json")
            let error = try failure { _ = try folder.vaeConfiguration() }
            #expect(error.message.contains("vae/config.json: \(key)"), "\(error.message)")
        }
        for (member, key) in [
            (#""architectures": ["T5EncoderModel"]"#, "architectures"), (#""model_type": "t5""#, "model_type"),
            (#""hidden_act": "relu""#, "hidden_act"), (#""num_attention_heads": 7"#, "num_attention_heads"),
            (#""vocab_size": 2000000000"#, "vocab_size"), (#""eos_token_id": -1"#, "eos_token_id"),
            (#""hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 64"#, "hidden_size"),
        ] {
            try scratch.write("{\(member)}", to: "text_encoder/config.json")
            let error = try failure { _ = try folder.textEncoderConfiguration() }
            #expect(error.message.contains("text_encoder/config.json: \(key)"), "\(error.message)")
        }
        let missing = try failure { _ = try folder.unetConfiguration() }
        #expect(missing.kind == .missingInput)
        for text in ["", "[1]", "{", "nonsense"] {
            #expect(try failure { _ = try unet(text) }.kind == .badData)
        }
    }

    @Test("networks that do not fit each other")
    func consistency() throws {
        try scratch.write(#"{"cross_attention_dim": 768}"#, to: "unet/config.json")
        try scratch.write("{}", to: "vae/config.json")
        try scratch.write(#"{"hidden_size": 1024}"#, to: "text_encoder/config.json")
        let width = try failure { _ = try folder.configuration() }
        #expect(width.message.contains("hidden_size") && width.message.contains("768"))
        try scratch.write(#"{"hidden_size": 768}"#, to: "text_encoder/config.json")
        _ = try folder.configuration()
        try scratch.write(#"{"latent_channels": 16}"#, to: "vae/config.json")
        #expect(try failure { _ = try folder.configuration() }.message.contains("latent_channels"))
    }

    @Test("what is written is read as the same", arguments: ModelArchitecture.allCases)
    func roundTrip(architecture: ModelArchitecture) throws {
        func again<Value: Codable & Equatable>(_ value: Value) throws -> Bool {
            try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value)) == value
        }
        #expect(try again(architecture.unet))
        #expect(try again(architecture.vae))
        #expect(try again(architecture.textEncoder))
    }
}
