import Failures

/// A LoRA that a user has given to a model.
public struct LoRAChoice: Codable, Equatable, Sendable {
    public var file: String
    /// How strong it is in the UNet; nil for 1.
    public var scale: Double?
    /// How strong it is in the text encoder; nil for as strong as in the UNet.
    public var textScale: Double?

    /// The options' names.
    enum CodingKeys: String, CodingKey, CaseIterable {
        case file = "lora"
        case scale = "lora_scale"
        case textScale = "lora_text_scale"
    }

    public init(_ file: String, scale: Double? = nil, textScale: Double? = nil) {
        self.file = file
        self.scale = scale
        self.textScale = textScale
    }

    public var unetScale: Double { scale ?? 1 }
    public var textEncoderScale: Double { textScale ?? unetScale }

    /// - Throws: `Failure.usage` naming the option.
    func validate() throws {
        for (option, scale) in [("--lora-scale", scale), ("--lora-text-scale", textScale)] {
            guard scale?.isFinite != false else {
                throw Failure.usage("\(option): expected a finite number, found \(scale ?? .nan)")
            }
        }
    }
}
