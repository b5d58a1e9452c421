/// One evaluation of the noise predictor that somebody asks for: eps_b(z, t) under attention masks.
///
/// What a further modality gives to an evaluation (a control map's residuals, say) becomes a member here.
public struct Evaluation: Equatable, Sendable {
    public let branch: GuidanceBranch
    /// z, `[channels, h, w]`.
    public let latent: Latent
    /// t, 0 to T - 1.
    public let timestep: Int
    /// Which attention masks act.
    public let masking: AttentionMasking

    public init(branch: GuidanceBranch, latent: Latent, timestep: Int, masking: AttentionMasking) {
        self.branch = branch
        self.latent = latent
        self.timestep = timestep
        self.masking = masking
    }
}
