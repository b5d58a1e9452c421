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

    /// A background query sees no prompt token but the first (`<|startoftext|>`), Eq. 14.
    public static let crossAttention = AttentionMasking(rawValue: 1)
    /// A background query sees no foreground key, Eq. 15.
    public static let selfAttention = AttentionMasking(rawValue: 2)
}

/// What one guidance branch of one job needs beside latent and timestep; fixed for the job.
public struct BranchInputs: Sendable, Equatable {
    /// The text encoder's last hidden state for this branch's prompt, `[tokens, width]`, row-major.
    public let embedding: [Float]
    public let tokens: Int
    public let width: Int
    /// The latent mask m, shape `[1, h, w]`, 1 = repaint.
    public let mask: Latent
    /// z_masked, shaped as the latent, for a UNet that takes it; nil for others.
    public let maskedImageLatent: Latent?

    /// - Precondition: `embedding.count == tokens * width`.
    public init(embedding: [Float], tokens: Int, width: Int, mask: Latent, maskedImageLatent: Latent? = nil) {
        precondition(embedding.count == tokens * width, "an embedding's values must fill its shape")
        self.embedding = embedding
        self.tokens = tokens
        self.width = width
        self.mask = mask
        self.maskedImageLatent = maskedImageLatent
    }

    /// What goes into the network behind the latent, at every evaluation: m and z_masked, or nothing. No gradient is
    /// wanted for it.
    public var planesBehindLatent: [Float] { maskedImageLatent.map { mask.values + $0.values } ?? [] }
}
