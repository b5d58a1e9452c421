import DiffusionModels
import Failures
import Foundation
import TensorKernels

/// A model folder whose small files are read and checked, each by itself and against the others.
public struct ModelDescription: Sendable {
    public let folder: ModelFolder
    public let unetConfiguration: UNetConfiguration
    public let vaeConfiguration: VAEConfiguration
    public let textConfiguration: TextEncoderConfiguration

    /// - Parameter model: a folder's path, or the name of the shipped model.
    /// - Throws: `Failure` naming the file and what is wrong with it.
    public init(_ model: String) throws {
        folder = try ModelFolder(try ShippedModel.folder(of: model))
        unetConfiguration = try folder.unetConfiguration()
        vaeConfiguration = try folder.vaeConfiguration()
        textConfiguration = try folder.textEncoderConfiguration()
        try checkAgreement()
    }

    /// Pixels per cell of the latent, along a side.
    public var factor: Int { vaeConfiguration.downsamplingFactor }

    /// A stage of the UNet, whose values are read and checked; of the other stages' tensors it is known that they are
    /// there and have their shapes.
    ///
    /// - Parameters:
    ///   - rungs: all of them, unless given.
    ///   - store: where the stage keeps what it computes with.
    public func unet(rungs: Range<Int>? = nil, store: WeightStore = WeightStore()) throws -> UNetStage {
        let weights = CheckpointWeights(try folder.weights(of: .unet), store: store)
        let stage = UNetStage(unetConfiguration, rungs: rungs, weights: weights)
        if rungs != nil {
            let whole = RecordingWeights()
            _ = UNetStage(unetConfiguration, weights: whole)
            weights.expect(whole.requests)
        }
        try weights.finish()
        return stage
    }

    public func autoencoder() throws -> Autoencoder {
        let weights = CheckpointWeights(try folder.weights(of: .vae))
        let network = Autoencoder(vaeConfiguration, weights: weights)
        try weights.finish()
        return network
    }

    public func textEncoder() throws -> TextEncoder {
        let weights = CheckpointWeights(try folder.weights(of: .textEncoder))
        let network = TextEncoder(textConfiguration, weights: weights)
        try weights.finish()
        return network
    }

    /// - Parameter warn: hears of what is allowed and unwise.
    public func scheduler(warn: (String) -> Void) throws -> DDIMScheduler {
        let path = folder.schedulerConfigurationPath
        let configuration = try SchedulerConfiguration(contentsOf: URL(fileURLWithPath: path))
        if configuration.clipSample && configuration.isClipSampleDefaulted {
            warn(
                "\(path): says nothing of clip_sample, so latents are clamped to +-1 as diffusers' DDIM does; "
                    + "a latent diffusion model wants \"clip_sample\": false")
        }
        return try DDIMScheduler(configuration, file: path)
    }

    public func tokenizer() throws -> CLIPTokenizer {
        try CLIPTokenizer(folder: folder.tokenizerFolder, vocabularySize: textConfiguration.vocabularySize)
    }

    private func checkAgreement() throws {
        func check(_ component: ModelFolder.Component, _ key: String, _ found: Int, _ expected: Int, _ why: String)
            throws
        {
            guard found != expected else { return }
            throw Failure.badData(
                file: folder.configurationPath(of: component), key: key, expected: "\(expected), \(why)",
                found: "\(found)")
        }
        let latentChannels = vaeConfiguration.latentChannels
        let ofLatent = "the latent_channels of the model's VAE"
        try check(.unet, "in_channels", unetConfiguration.inputChannels, latentChannels, ofLatent)
        try check(.unet, "out_channels", unetConfiguration.outputChannels, latentChannels, ofLatent)
        try check(
            .unet, "cross_attention_dim", unetConfiguration.crossAttentionDimension, textConfiguration.hiddenSize,
            "the hidden_size of the model's text encoder")
    }
}
