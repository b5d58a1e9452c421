import DiffusionModels
import Failures
import Foundation
import PilotInpainting
import TensorKernels

/// A model whose small files are read and checked, each by itself and against the others.
public struct ModelDescription: Sendable {
    public let files: any ModelFiles
    public let unetConfiguration: UNetConfiguration
    public let vaeConfiguration: VAEConfiguration
    public let textConfiguration: TextEncoderConfiguration
    /// The ControlNets beside the UNet.
    public let controls: [ControlNetFiles]
    /// The T2I-Adapters.
    public let t2iAdapters: [T2IAdapterFiles]
    public let ipAdapters: [IPAdapterFiles]
    /// What the user calls the ControlNets, and the IP-Adapters.
    let (controlNames, ipAdapterNames): ([String], [String])
    /// That of the IP-Adapters; nil where there are none.
    public let imageEncoder: ImageEncoderFiles?
    /// The encoder's folder, if the user has named it.
    let namedImageEncoder: String?
    /// What the network predicts, and how that is known.
    public let prediction: Prediction
    /// How many of the text encoder's last layers are left out.
    private let skippedLayers: Int
    /// What is merged into the weights.
    private let loras: LoRASet
    /// The files of that, in their order.
    let loraFiles: [String]

    /// - Throws: `Failure` naming the file and what is wrong with it.
    public init(_ named: ModelChoice) throws {
        let choice = try named.locatingShippedNetworks()
        (controlNames, ipAdapterNames) = (named.controls, named.ipAdapters)
        var files = try choice.opened()
        let single = files as? SingleFileModel
        if let autoencoder = choice.autoencoder { files = try ReplacedAutoencoder(files, with: autoencoder) }
        self.files = files
        unetConfiguration = try files.unetConfiguration()
        vaeConfiguration = try files.vaeConfiguration()
        let unet = (unetConfiguration, files.configurationPath(of: .unet))
        controls = try choice.controls.map { try ControlNetFiles($0, for: unet.0, of: unet.1) }
        t2iAdapters = try choice.t2iAdapters.map { try T2IAdapterFiles($0, for: unet.0, of: unet.1) }
        ipAdapters = try choice.ipAdapters.map { try IPAdapterFiles($0, for: unet.0, of: unet.1) }
        namedImageEncoder = choice.imageEncoder
        imageEncoder = try choice.foundImageEncoder(model: files.path).map(ImageEncoderFiles.init)
        textConfiguration = try files.textEncoderConfiguration()
        prediction =
            try single?.prediction ?? choice.prediction.map { Prediction($0, by: .option) }
            ?? Prediction(files.schedulerConfiguration().predictionType, by: .configuration)
        let (clipSkip, layers) = (choice.clipSkip ?? 1, textConfiguration.layerCount)
        guard (1...layers).contains(clipSkip) else {
            throw Failure.usage(
                "--clip-skip: expected 1 to \(layers), the layers of the text encoder of \(choice.name), found "
                    + "\(clipSkip)")
        }
        skippedLayers = clipSkip - 1
        let chosen = choice.lora ?? []
        loraFiles = chosen.map(\.file)
        loras = try Self.loras(chosen, unet: unetConfiguration, textEncoder: textConfiguration)
        try checkAgreement()
    }

    /// The modules that LoRAs may change.
    public var loraTargets: LoRATargets { LoRATargets(unet: unetConfiguration, textEncoder: textConfiguration) }

    /// Pixels per cell of the latent, along a side.
    public var factor: Int { vaeConfiguration.downsamplingFactor }

    /// A stage of the UNet, whose values are read and checked; of the other stages' tensors it is known that they are
    /// there and have their shapes.
    ///
    /// - Parameters:
    ///   - rungs: all of them, unless given.
    ///   - store: where the stage keeps what it computes with.
    public func unet(rungs: Range<Int>? = nil, store: WeightStore = WeightStore()) throws -> UNetStage {
        let weights = CheckpointWeights(try files.weights(of: .unet), store: store)
        let stage = UNetStage(unetConfiguration, rungs: rungs, weights: loras.applied(to: weights, of: .unet))
        if rungs != nil {
            let whole = RecordingWeights()
            _ = UNetStage(unetConfiguration, weights: whole)
            weights.expect(whole.requests)
        }
        try weights.finish()
        return stage
    }

    /// The share of each ControlNet in a stage, as `unet` has the UNet's.
    public func controlStages(rungs: Range<Int>? = nil, store: WeightStore = WeightStore()) throws -> [ControlStage] {
        try controls.map { try $0.stage(rungs: rungs, unet: files.weights(of: .unet), store: store) }
    }

    /// - Parameter number: 0 for the first.
    public func t2iAdapter(_ number: Int) throws -> T2IAdapter {
        guard t2iAdapters.indices.contains(number) else {
            throw Failure.internalFault("there is no T2I-Adapter \(number + 1)")
        }
        return try t2iAdapters[number].adapter()
    }

    /// - Parameter number: 0 for the first.
    public func imageProjector(_ number: Int) throws -> ImageProjector {
        guard ipAdapters.indices.contains(number) else {
            throw Failure.internalFault("there is no IP-Adapter \(number + 1)")
        }
        return try ipAdapters[number].projector()
    }

    public func openedImageEncoder() throws -> ImageEncoderFiles {
        guard let imageEncoder else { throw Failure.internalFault("there is no image encoder") }
        return imageEncoder
    }

    public func autoencoder() throws -> Autoencoder {
        let weights = CheckpointWeights(try files.weights(of: .vae))
        let network = Autoencoder(vaeConfiguration, weights: weights)
        try weights.finish()
        return network
    }

    public func textEncoder() throws -> TextEncoder {
        let weights = CheckpointWeights(try files.weights(of: .textEncoder))
        let network = TextEncoder(
            textConfiguration, skippedLayers: skippedLayers, weights: loras.applied(to: weights, of: .textEncoder))
        if skippedLayers > 0 {
            let whole = RecordingWeights()
            _ = TextEncoder(textConfiguration, weights: whole)
            weights.expect(whole.requests)
        }
        try weights.finish()
        return network
    }

    /// - Parameter warn: hears of what is allowed and unwise.
    public func scheduler(warn: (String) -> Void) throws -> DDIMScheduler {
        let path = files.schedulerConfigurationPath
        var configuration = try files.schedulerConfiguration()
        configuration.predictionType = prediction.type
        if configuration.clipSample && configuration.isClipSampleDefaulted {
            warn(
                "\(path): says nothing of clip_sample, so latents are clamped to +-1 as diffusers' DDIM does; "
                    + "a latent diffusion model wants \"clip_sample\": false")
        }
        return try DDIMScheduler(configuration, file: path)
    }

    public func tokenizer() throws -> CLIPTokenizer {
        try files.tokenizer.tokenizer(vocabularySize: textConfiguration.vocabularySize)
    }

    /// - Parameter name: the model as the user named it.
    /// - Throws: `Failure.usage` naming `--method` and the model, when that is not for such a model.
    public func check(_ algorithm: PilotParameters.Algorithm, modelName name: String) throws {
        guard algorithm == .inpaint, !unetConfiguration.takesMaskedImage else { return }
        throw Failure.usage(
            "--method inpaint: expected an inpainting model, whose UNet takes 9 channels, and that of \(name) takes "
                + "\(unetConfiguration.inputChannels); name another --model, or take --method pilot, which works with both"
        )
    }

    private static func loras(
        _ choices: [LoRAChoice], unet: UNetConfiguration, textEncoder: TextEncoderConfiguration
    ) throws -> LoRASet {
        guard !choices.isEmpty else { return LoRASet() }
        do {
            let loras = try choices.map {
                WeightedLoRA(
                    try LoRAFile(path: $0.file), unetScale: $0.unetScale, textScale: $0.textEncoderScale)
            }
            return try LoRASet(loras, for: LoRATargets(unet: unet, textEncoder: textEncoder))
        } catch let failure as Failure {
            throw Failure(failure.kind, "--lora \(failure.message)")
        }
    }

    private func checkAgreement() throws {
        func check(_ component: ModelFolder.Component, _ key: String, _ found: Int, _ expected: Int, _ why: String)
            throws
        {
            guard found != expected else { return }
            throw Failure.badData(
                file: files.configurationPath(of: component), key: key, expected: "\(expected), \(why)",
                found: "\(found)")
        }
        let latentChannels = vaeConfiguration.latentChannels
        try check(
            .unet, "out_channels", unetConfiguration.outputChannels, latentChannels,
            "the latent_channels of the model's VAE")
        try check(
            .unet, "cross_attention_dim", unetConfiguration.crossAttentionDimension, textConfiguration.hiddenSize,
            "the hidden_size of the model's text encoder")
        for control in controls where control.configuration.downsamplingFactor != factor {
            throw Failure.badData(
                "--control \(control.path): expected a net whose maps are \(factor) times as large as the latent, the "
                    + "factor of the model's autoencoder, found \(control.configuration.downsamplingFactor) "
                    + "(conditioning_embedding_out_channels \(control.configuration.embeddingChannels))")
        }
        if let imageEncoder { for adapter in ipAdapters { try adapter.check(imageEncoder) } }
        for adapter in t2iAdapters where adapter.configuration.downsamplingFactor != factor {
            throw Failure.badData(
                "--t2i-adapter \(adapter.path): expected an adapter whose maps are \(factor) times as large as the latent, "
                    + "the factor of the model's autoencoder, found \(adapter.configuration.downsamplingFactor) "
                    + "(downscale_factor); the adapter is for another model")
        }
    }
}

extension ModelChoice {
    /// The folder of the IP-Adapters' image encoder: as it is named, or beside one of them, or in the model.
    ///
    /// - Throws: `Failure.missingInput` when there is none.
    fileprivate func foundImageEncoder(model: String) throws -> String? {
        guard !ipAdapters.isEmpty else { return nil }
        if let imageEncoder { return imageEncoder }
        let folder = "image_encoder"
        let beside = ipAdapters.map { path in
            let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            return parent.isEmpty ? folder : (parent + [folder[...]]).joined(separator: "/")
        }
        let places = beside + ["\(model)/\(folder)"]
        guard let found = places.first(where: { FileKind(at: $0) == .folder }) else {
            throw Failure.missingInput(
                "--ip-adapter \(ipAdapters[0]): no image encoder, neither beside it nor in the model "
                    + "(\(places.joined(separator: ", "))); name its folder with --image-encoder")
        }
        return found
    }

    /// The files, whatever their layout, without another autoencoder.
    fileprivate func opened() throws -> any ModelFiles {
        let path = try ShippedModel.folder(of: name)
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput(
                "\(path): no such file or folder; expected a Stable Diffusion 1.x or 2.x model: a folder in the "
                    + "diffusers layout, or a single safetensors file")
        }
        if kind == .folder {
            if let configuration {
                throw Failure.usage(
                    "--model-config \(configuration): is for a model in a single file, and \(name) is a folder, which "
                        + "has its own configurations")
            }
            return try ModelFolder(path)
        }
        let folder = try configuration.map { try ModelFolder($0) }
        return try SingleFileModel(
            path,
            SingleFileModel.Options(
                configuration: folder, prediction: prediction, clip: folder == nil ? try ProgramFiles.clip() : ""))
    }
}
