/// What an IP-Adapter shows to one branch of a job.
public struct ImageInputs: Sendable, Equatable {
    /// `[1, tokens, width]`
    public let tokens: Latent
    /// What its part of a cross-attention is multiplied with.
    public let scale: Double

    public init(tokens: Latent, scale: Double) {
        self.tokens = tokens
        self.scale = scale
    }
}
