/// The architectures that a random model can have.
public enum ModelArchitecture: String, Sendable, CaseIterable {
    /// Stable Diffusion 1.5.
    case sd15
    /// Its inpainting variant, whose UNet takes the mask and the masked image too.
    case sd15Inpainting = "sd15-inpaint"
    /// Stable Diffusion 2.1 at 768 x 768, which predicts the velocity.
    case sd21
    /// The inpainting variant of Stable Diffusion 2, trained at 512 x 512, which predicts the noise.
    case sd2Inpainting = "sd2-inpaint"
    /// The parts of Stable Diffusion 1.5 at a size with which a whole job takes seconds; for tests and first steps.
    case tiny
    /// The same with a UNet for inpainting.
    case tinyInpainting = "tiny-inpaint"

    private var isForInpainting: Bool {
        switch self {
        case .sd15Inpainting, .sd2Inpainting, .tinyInpainting: true
        case .sd15, .sd21, .tiny: false
        }
    }

    public var unet: UNetConfiguration {
        switch self {
        case .sd15, .sd15Inpainting:
            UNetConfiguration(
                sampleSize: 64, blockChannels: [320, 640, 1280, 1280], layersPerBlock: [2, 2, 2, 2],
                downBlockTypes: [.crossAttention, .crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention, .crossAttention],
                headCounts: [8, 8, 8, 8], crossAttentionDimension: 768, usesLinearProjection: false,
                takesMaskedImage: isForInpainting)
        case .sd21, .sd2Inpainting:
            UNetConfiguration(
                sampleSize: self == .sd21 ? 96 : 64, blockChannels: [320, 640, 1280, 1280],
                layersPerBlock: [2, 2, 2, 2],
                downBlockTypes: [.crossAttention, .crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention, .crossAttention],
                headCounts: [5, 10, 20, 20], crossAttentionDimension: 1024, usesLinearProjection: true,
                takesMaskedImage: isForInpainting)
        case .tiny, .tinyInpainting:
            UNetConfiguration(
                sampleSize: 16, blockChannels: [32, 64, 64], layersPerBlock: [1, 1, 1],
                downBlockTypes: [.crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention],
                headCounts: [2, 2, 2], crossAttentionDimension: 32, usesLinearProjection: false, normGroups: 8,
                takesMaskedImage: isForInpainting)
        }
    }

    public var vae: VAEConfiguration {
        switch self {
        case .sd15, .sd15Inpainting, .sd2Inpainting:
            VAEConfiguration(sampleSize: 512, blockChannels: [128, 256, 512, 512], layersPerBlock: 2)
        case .sd21: VAEConfiguration(sampleSize: 768, blockChannels: [128, 256, 512, 512], layersPerBlock: 2)
        case .tiny, .tinyInpainting:
            VAEConfiguration(sampleSize: 128, blockChannels: [8, 16, 16, 16], layersPerBlock: 1, normGroups: 4)
        }
    }

    public var textEncoder: TextEncoderConfiguration {
        switch self {
        case .sd15, .sd15Inpainting:
            TextEncoderConfiguration(
                hiddenSize: 768, intermediateSize: 3072, layerCount: 12, headCount: 12, activation: .quickGELU,
                vocabularySize: 49408, paddingToken: 49407)
        case .sd21, .sd2Inpainting:
            TextEncoderConfiguration(
                hiddenSize: 1024, intermediateSize: 4096, layerCount: 23, headCount: 16, activation: .gelu,
                vocabularySize: 49408, paddingToken: 0)
        case .tiny, .tinyInpainting:
            TextEncoderConfiguration(
                hiddenSize: 32, intermediateSize: 64, layerCount: 2, headCount: 2, activation: .quickGELU,
                vocabularySize: 514, paddingToken: 513)
        }
    }

    public var scheduler: SchedulerConfiguration {
        var configuration = SchedulerConfiguration()
        configuration.betaSchedule = .scaledLinear
        configuration.betaStart = 0.00085
        configuration.betaEnd = 0.012
        configuration.clipSample = false
        configuration.setAlphaToOne = false
        configuration.stepsOffset = 1
        configuration.predictionType = self == .sd21 ? .velocity : .epsilon
        return configuration
    }
}
