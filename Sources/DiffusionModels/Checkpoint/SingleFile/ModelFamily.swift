import Failures
import TensorKernels

/// The models that share their networks' shapes, as far as single files are of them.
public enum ModelFamily: String, Sendable, CaseIterable {
    case sd1
    case sd1Inpainting = "sd1-inpaint"
    case sd2
    case sd2Inpainting = "sd2-inpaint"
    case sdxl

    public var name: String {
        switch self {
        case .sd1: "Stable Diffusion 1.x"
        case .sd1Inpainting: "Stable Diffusion 1.x for inpainting"
        case .sd2: "Stable Diffusion 2.x"
        case .sd2Inpainting: "Stable Diffusion 2.x for inpainting"
        case .sdxl: "Stable Diffusion XL"
        }
    }

    /// The networks of the family; nil for those that are not built.
    var architecture: ModelArchitecture? {
        switch self {
        case .sd1: .sd15
        case .sd1Inpainting: .sd15Inpainting
        case .sd2: .sd21
        case .sd2Inpainting: .sd2Inpainting
        case .sdxl: nil
        }
    }

    /// The token that fills a prompt up.
    var paddingToken: String { self == .sd1 || self == .sd1Inpainting ? "<|endoftext|>" : "!" }

    /// The family whose networks these are; nil for sizes of their own.
    public init?(_ unet: UNetConfiguration) {
        let family = Self.allCases.first { $0.architecture?.unet.hasSameNetwork(as: unet) == true }
        guard let family else { return nil }
        self = family
    }
}

extension ModelFamily {
    /// Told from the shapes of a single file's UNet: what goes into its first convolution, and how wide the prompt's
    /// states are that its cross-attention takes.
    ///
    /// - Throws: `Failure.badData` if there is no such UNet in the file, saying what is there.
    init(of file: SafetensorsFile) throws {
        let convolution = LDMUNetNaming.prefix + "input_blocks.0.0.weight"
        guard let input = file.tensors[convolution] else { throw Self.noUNet(in: file) }
        let attention = file.tensors.keys
            .filter { $0.hasPrefix(LDMUNetNaming.prefix) && $0.hasSuffix(".attn2.to_k.weight") }.min()
        guard let attention, let width = file.tensors[attention]?.shape.last, input.shape.count == 4 else {
            throw Failure.badData(
                file: file.path, key: quoted(convolution),
                expected: "a UNet with a convolution of four dimensions and cross-attention (attn2.to_k)",
                found: "the shape \(input.shape), and \(attention == nil ? "no" : "some") attn2.to_k")
        }
        switch (width, input.shape[1]) {
        case (768, UNetConfiguration.latentChannels): self = .sd1
        case (768, UNetConfiguration.inpaintingChannels): self = .sd1Inpainting
        case (1024, UNetConfiguration.latentChannels): self = .sd2
        case (1024, UNetConfiguration.inpaintingChannels): self = .sd2Inpainting
        case (2048, _): self = .sdxl
        case (768, let channels), (1024, let channels):
            let kind = UNetConfiguration.otherKinds[channels].map { ": \($0)" } ?? ""
            throw Failure.badData(
                file: file.path, key: quoted(convolution),
                expected: "as input channels \(UNetConfiguration.expectedChannels)",
                found: "\(channels)\(kind)")
        default:
            throw Failure.badData(
                file: file.path, key: quoted(attention),
                expected: "768 columns (Stable Diffusion 1.x) or 1024 (2.x), or the folder of the model's "
                    + "configurations with --model-config",
                found: "\(width)\(width == 1280 ? ", the refiner of Stable Diffusion XL" : "")")
        }
    }

    /// The architecture with the family's shapes.
    /// - Throws: `Failure.badData` for a family that is known and not built, by its name.
    func requiredArchitecture(file: String) throws -> ModelArchitecture {
        if let architecture { return architecture }
        throw Failure.badData(
            "\(file): is a checkpoint of \(name) (\(rawValue)), which has a second text encoder; it is not supported "
                + "yet: expected Stable Diffusion 1.x or 2.x")
    }

    /// What a file without a UNet is, as far as a key tells.
    private static func noUNet(in file: SafetensorsFile) -> Failure {
        let marks: [(String, (String) -> Bool)] = [
            ("a LoRA", { $0.hasPrefix("lora_") || $0.contains(".lora") || $0.contains("_lora") }),
            ("a ControlNet", { $0.hasPrefix("control_model.") || $0.hasPrefix("controlnet_") }),
            ("a UNet alone, in the diffusers layout", { $0.hasPrefix("down_blocks.") }),
            ("an autoencoder alone (--vae takes it)", { $0.hasPrefix("decoder.") }),
            ("a textual inversion", { $0 == "emb_params" }),
            ("a Flux model", { $0.contains("double_blocks.") }),
            ("a Stable Diffusion 3 model", { $0.contains("joint_blocks.") }),
        ]
        let kind = marks.first { file.tensors.keys.contains(where: $0.1) }?.0
        let found = kind ?? "\(file.tensors.count) tensors, among them \(quoted(file.tensors.keys.min() ?? "none"))"
        return .badData(
            file: file.path, key: quoted(LDMUNetNaming.prefix + "input_blocks.0.0.weight"),
            expected: "a single-file checkpoint of Stable Diffusion 1.x or 2.x, with a UNet", found: found)
    }
}

extension UNetConfiguration {
    /// Whether the layers are the same, whatever the pictures were that it was trained with.
    public func hasSameNetwork(as other: UNetConfiguration) -> Bool {
        blockChannels == other.blockChannels && layersPerBlock == other.layersPerBlock
            && downBlockTypes == other.downBlockTypes && upBlockTypes == other.upBlockTypes
            && headCounts == other.headCounts && crossAttentionDimension == other.crossAttentionDimension
            && usesLinearProjection == other.usesLinearProjection && transformerLayers == other.transformerLayers
            && inputChannels == other.inputChannels
    }
}
