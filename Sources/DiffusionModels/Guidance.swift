/// The two evaluations of classifier-free guidance.
public enum GuidanceBranch: Int, Sendable, CaseIterable, Codable {
    /// With the negative (or empty) prompt.
    case unconditional = 0
    /// With the prompt.
    case conditional = 1
}

/// Which of the attention masks of the paper's Eqs. 13-15 act in one evaluation of the UNet.
public struct AttentionMasking: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A background query sees no prompt token but the first of each chunk (`<|startoftext|>`), Eq. 14.
    public static let crossAttention = AttentionMasking(rawValue: 1)
    /// A background query sees no foreground key, Eq. 15.
    public static let selfAttention = AttentionMasking(rawValue: 2)
}

/// What one guidance branch of one job needs beside latent and timestep; fixed for the job.
public struct BranchInputs: Sendable, Equatable {
    /// The text encoder's states for this branch's prompt, `[tokens, width]`, row-major; one chunk after another.
    public let embedding: [Float]
    public let tokens: Int
    public let width: Int
    /// The tokens of each chunk, which the text encoder has read by itself.
    public let chunkLength: Int
    /// The latent mask m, shape `[1, h, w]`, 1 = repaint.
    public let mask: Latent
    /// z_masked, shaped as the latent, for a UNet that takes it; nil for others.
    public let maskedImageLatent: Latent?
    /// Of every ControlNet of the job, whether or not it acts on this branch.
    public private(set) var controls: [ControlInputs]
    /// Of every T2I-Adapter of the job.
    public internal(set) var adapters: [FeatureInputs]
    /// Of every IP-Adapter, what this branch sees.
    public let images: [ImageInputs]

    /// - Parameters:
    ///   - chunkLength: nil for a single chunk.
    ///   - controls: of every ControlNet of the job.
    ///   - adapters: of every T2I-Adapter.
    ///   - images: of every IP-Adapter.
    /// - Precondition: `embedding.count == tokens * width`, and the tokens are whole chunks.
    public init(
        embedding: [Float], tokens: Int, width: Int, chunkLength: Int? = nil, mask: Latent,
        maskedImageLatent: Latent? = nil, controls: [ControlInputs] = [], adapters: [FeatureInputs] = [],
        images: [ImageInputs] = []
    ) {
        precondition(embedding.count == tokens * width, "an embedding's values must fill its shape")
        self.chunkLength = chunkLength ?? max(tokens, 1)
        precondition(self.chunkLength > 0 && tokens % self.chunkLength == 0, "a prompt is whole chunks")
        self.embedding = embedding
        self.tokens = tokens
        self.width = width
        self.mask = mask
        self.maskedImageLatent = maskedImageLatent
        self.controls = controls
        self.adapters = adapters
        self.images = images
    }

    /// The same for the stages below the first, which see no maps.
    public var belowFirstStage: BranchInputs {
        var copy = self
        for index in controls.indices { copy.controls[index].map = nil }
        return copy
    }

    /// What goes into the network behind the latent, at every evaluation: m and z_masked, or nothing. No gradient is
    /// wanted for it.
    public var planesBehindLatent: [Float] { maskedImageLatent.map { mask.values + $0.values } ?? [] }
}
