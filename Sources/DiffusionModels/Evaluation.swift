/// One evaluation of the noise predictor that somebody asks for: eps_b(z, t) under attention masks.
public struct Evaluation: Equatable, Sendable {
    public let branch: GuidanceBranch
    /// z, `[channels, h, w]`.
    public let latent: Latent
    /// t, 0 to T - 1.
    public let timestep: Int
    /// Which attention masks act.
    public let masking: AttentionMasking
    /// Which of the job's ControlNets act.
    public let controls: ActingSet
    /// Which of its T2I-Adapters.
    public let adapters: ActingSet

    public init(
        branch: GuidanceBranch, latent: Latent, timestep: Int, masking: AttentionMasking, controls: ActingSet = [],
        adapters: ActingSet = []
    ) {
        self.branch = branch
        self.latent = latent
        self.timestep = timestep
        self.masking = masking
        self.controls = controls
        self.adapters = adapters
    }
}
