/// The architectures that a random model can have.
public enum ModelArchitecture: String, Sendable, CaseIterable {
    /// Stable Diffusion 1.5.
    case sd15
    /// Stable Diffusion 2.1 at 768 x 768, which predicts the velocity.
    case sd21
    /// The parts of Stable Diffusion 1.5 at a size with which a whole job takes seconds; for tests and first steps.
    case tiny

    public var unet: UNetConfiguration {
        switch self {
        case .sd15:
            UNetConfiguration(
                sampleSize: 64, blockChannels: [320, 640, 1280, 1280], layersPerBlock: [2, 2, 2, 2],
                downBlockTypes: [.crossAttention, .crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention, .crossAttention],
                headCounts: [8, 8, 8, 8], crossAttentionDimension: 768, usesLinearProjection: false)
        case .sd21:
            UNetConfiguration(
                sampleSize: 96, blockChannels: [320, 640, 1280, 1280], layersPerBlock: [2, 2, 2, 2],
                downBlockTypes: [.crossAttention, .crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention, .crossAttention],
                headCounts: [5, 10, 20, 20], crossAttentionDimension: 1024, usesLinearProjection: true)
        case .tiny:
            UNetConfiguration(
                sampleSize: 16, blockChannels: [32, 64, 64], layersPerBlock: [1, 1, 1],
                downBlockTypes: [.crossAttention, .crossAttention, .plain],
                upBlockTypes: [.plain, .crossAttention, .crossAttention],
                headCounts: [2, 2, 2], crossAttentionDimension: 32, usesLinearProjection: false, normGroups: 8)
        }
    }

    public var vae: VAEConfiguration {
        switch self {
        case .sd15: VAEConfiguration(sampleSize: 512, blockChannels: [128, 256, 512, 512], layersPerBlock: 2)
        case .sd21: VAEConfiguration(sampleSize: 768, blockChannels: [128, 256, 512, 512], layersPerBlock: 2)
        case .tiny:
            VAEConfiguration(sampleSize: 128, blockChannels: [8, 16, 16, 16], layersPerBlock: 1, normGroups: 4)
        }
    }

    public var textEncoder: TextEncoderConfiguration {
        switch self {
        case .sd15:
            TextEncoderConfiguration(
                hiddenSize: 768, intermediateSize: 3072, layerCount: 12, headCount: 12, activation: .quickGELU,
                vocabularySize: 49408, paddingToken: 49407)
        case .sd21:
            TextEncoderConfiguration(
                hiddenSize: 1024, intermediateSize: 4096, layerCount: 23, headCount: 16, activation: .gelu,
                vocabularySize: 49408, paddingToken: 0)
        case .tiny:
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
