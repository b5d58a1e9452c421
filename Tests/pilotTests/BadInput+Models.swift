import Foundation
import TensorKernels

extension BadInput {
    /// A model with one of its files replaced or changed.
    private static func model(
        _ name: String, _ exitCode: Int32, _ mentions: [String], isForTwoRanks: Bool = false,
        damage: @escaping @Sendable (PilotRunner) throws -> Void
    ) -> BadInput {
        BadInput(
            name: name, exitCode: exitCode, mentions: mentions, isForTwoRanks: isForTwoRanks,
            prepare: { runner in
                _ = try runner.copyModel()
                try damage(runner)
            },
            arguments: { ["--model", $0.path("model")] })
    }

    /// A model's configuration with one text in it replaced.
    private static func configuration(
        _ name: String, _ file: String, replacing text: String, by other: String, _ mentions: [String]
    ) -> BadInput {
        model(name, 65, mentions) { runner in
            let old = String(decoding: try runner.contents("model/\(file)"), as: UTF8.self)
            try runner.write(old.replacingOccurrences(of: text, with: other), to: "model/\(file)")
        }
    }

    static let models: [BadInput] = [
        BadInput(name: "model is not there", exitCode: 66, mentions: ["nowhere"], isForTwoRanks: true) {
            ["--model", $0.path("nowhere")]
        },
        BadInput(name: "model is another kind of folder", exitCode: 65, mentions: ["model_index.json"]) {
            ["--model", $0.folder]
        },
        BadInput(name: "model is a file", exitCode: 65, mentions: ["image.png"]) { ["--model", $0.path("image.png")] },
        model("UNet's configuration is gone", 66, ["unet/config.json"]) {
            try FileManager.default.removeItem(atPath: $0.path("model/unet/config.json"))
        },
        model("UNet's configuration is no JSON", 65, ["unet/config.json"]) {
            try $0.write("{\"block_out_channels\": [8,", to: "model/unet/config.json")
        },
        configuration(
            "UNet has absurd sizes", "unet/config.json", replacing: "\"norm_num_groups\": ",
            by: "\"norm_num_groups\": 99999999", ["unet/config.json", "norm_num_groups"]),
        configuration(
            "UNet takes depth, too", "unet/config.json", replacing: "\"in_channels\": 4", by: "\"in_channels\": 5",
            ["unet/config.json", "in_channels", "depth-guided"]),
        configuration(
            "UNet's channels are not its weights'", "unet/config.json", replacing: "\"in_channels\": 4",
            by: "\"in_channels\": 9", ["unet", "conv_in.weight", "[8, 9, 3, 3]"]),
        configuration(
            "model is another pipeline", "model_index.json", replacing: "UNet2DConditionModel",
            by: "FluxTransformer2DModel", ["model_index.json", "FluxTransformer2DModel"]),
        model("scheduler is gone", 66, ["scheduler_config.json"]) {
            try FileManager.default.removeItem(atPath: $0.path("model/scheduler/scheduler_config.json"))
        },
        model("tokenizer's vocabulary is damaged", 65, ["vocab.json"]) {
            try $0.write("[1, 2]", to: "model/tokenizer/vocab.json")
        },
        model("weights are cut short", 65, ["unet/diffusion_pytorch_model.safetensors"], isForTwoRanks: true) {
            let file = "model/unet/diffusion_pytorch_model.safetensors"
            try $0.write(try $0.contents(file).dropLast(100), to: file)
        },
        model("weights' header leaves the file", 65, ["vae/diffusion_pytorch_model.safetensors", "header"]) {
            let file = "model/vae/diffusion_pytorch_model.safetensors"
            try $0.write([UInt8](repeating: 0xff, count: 8) + (try $0.contents(file).dropFirst(8)), to: file)
        },
        model("weights are pickle", 65, ["pytorch_model.bin", "pickle"]) {
            try FileManager.default.moveItem(
                atPath: $0.path("model/text_encoder/model.safetensors"),
                toPath: $0.path("model/text_encoder/pytorch_model.bin"))
        },
        model("weights are gone", 66, ["vae"]) {
            try FileManager.default.removeItem(atPath: $0.path("model/vae/diffusion_pytorch_model.safetensors"))
        },
        model("weight is NaN", 65, ["unet/diffusion_pytorch_model.safetensors", "NaN"], isForTwoRanks: true) {
            let file = "model/unet/diffusion_pytorch_model.safetensors"
            // The last tensor's last element.
            try $0.write(try $0.contents(file).dropLast(4) + [0, 0, 0xc0, 0x7f], to: file)
        },
        model("weights overflow", 70, ["step 1", "NaN"], isForTwoRanks: true) {
            try scale("model/unet/diffusion_pytorch_model.safetensors", tensor: "conv_in.weight", by: 1e38, in: $0)
        },
        model("autoencoder overflows", 70, ["VAE"]) {
            try scale("model/vae/diffusion_pytorch_model.safetensors", tensor: "quant_conv.weight", by: 1e38, in: $0)
        },
    ]

    static let tensors: [BadInput] = [
        BadInput(
            name: "initial latent of another shape", exitCode: 65, mentions: ["start.safetensors", "[4, 8, 8]"],
            prepare: { try writeLatent([4, 8, 8], value: 0, in: $0) },
            arguments: { ["--initial-latent", $0.path("start.safetensors")] }),
        BadInput(
            name: "initial latent is infinite", exitCode: 65, mentions: ["start.safetensors", "NaN or infinity"],
            prepare: { try writeLatent([1, 4, 12, 16], value: .infinity, in: $0) },
            arguments: { ["--initial-latent", $0.path("start.safetensors")] }),
        BadInput(name: "initial latent is a picture", exitCode: 65, mentions: ["image.png"]) {
            ["--initial-latent", $0.path("image.png")]
        },
    ]

    private static func writeLatent(_ shape: [Int], value: Float, in runner: PilotRunner) throws {
        let values = [Float](repeating: value, count: shape.reduce(1, *))
        try SafetensorsWriter.write(
            to: runner.path("start.safetensors"), [StoredTensor(name: "initial_latent", shape: shape, values: values)])
    }

    /// Rewrites a file of weights with one tensor so large that finite weights give infinite results.
    private static func scale(_ file: String, tensor name: String, by factor: Float, in runner: PilotRunner) throws {
        let stored = try TensorFile(runner.path(file)).tensors.values.sorted { $0.name < $1.name }
        let changed = stored.map { tensor in
            let values = tensor.float32Values()
            return StoredTensor(
                name: tensor.name, shape: tensor.shape,
                values: tensor.name == name ? values.map { $0 < 0 ? -factor : factor } : values)
        }
        try SafetensorsWriter.write(to: runner.path(file), changed)
    }
}
