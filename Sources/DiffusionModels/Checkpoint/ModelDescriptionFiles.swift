import Failures
import Foundation

/// What a diffusers folder holds beside the weights.
struct ModelDescriptionFiles {
    let unet: UNetConfiguration
    let vae: VAEConfiguration
    let textEncoder: TextEncoderConfiguration
    let scheduler: SchedulerConfiguration

    /// Makes the folders of all components in `folder`, and writes the files that describe them.
    ///
    /// - Parameter writeTokenizer: writes the tokenizer's files into a folder.
    /// - Throws: `Failure.inputOutput` if writing fails.
    func write(to folder: String, writeTokenizer: (String) throws -> Void) throws {
        for part in ModelFolder.Component.allCases.map(\.rawValue) + ["tokenizer", "scheduler"] {
            try Self.makeFolder("\(folder)/\(part)")
        }
        let index = [
            "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
            "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "DDIMScheduler"], "safety_checker": [nil, nil],
            "feature_extractor": [nil, nil],
        ]
        try JSONFile.write(
            Named(
                className: unet.takesMaskedImage ? "StableDiffusionInpaintPipeline" : "StableDiffusionPipeline",
                value: index), to: "\(folder)/model_index.json")
        try JSONFile.write(
            Named(className: "DDIMScheduler", value: scheduler), to: "\(folder)/scheduler/scheduler_config.json")
        try JSONFile.write(unet, to: "\(folder)/unet/config.json")
        try JSONFile.write(vae, to: "\(folder)/vae/config.json")
        try JSONFile.write(textEncoder, to: "\(folder)/text_encoder/config.json")
        try writeTokenizer("\(folder)/tokenizer")
    }

    private static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Failure.inputOutput("cannot write \(path): \(error.localizedDescription)")
        }
    }

    /// A value's members beside diffusers' `_class_name`.
    private struct Named<Value: Encodable>: Encodable {
        let className: String
        let value: Value

        enum CodingKeys: String, CodingKey {
            case className = "_class_name"
        }

        func encode(to encoder: any Encoder) throws {
            try value.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(className, forKey: .className)
        }
    }
}
