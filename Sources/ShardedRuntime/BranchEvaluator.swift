import DiffusionModels

/// What computes on a rank: the network, for the branches that the plan gives to that rank.
///
/// All calls come from the rank's one compute thread, one at a time; so do the calls of the pullbacks and their
/// release. Equal arguments must give equal bits, on whatever rank: then every plan gives the same image.
public protocol BranchEvaluator: Sendable {
    /// Sets what `branch` of the job works with, and computes what depends on it alone.
    func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) throws

    /// The predicted noise eps_b(z, t), same shape as `latent`, for a branch that was prepared.
    func noise(_ evaluation: Evaluation) throws -> Latent

    /// As `noise`, with the pullback s -> J^T s with respect to `latent`. It is called once at most; releasing it
    /// must free what it holds.
    func noiseWithPullback(_ evaluation: Evaluation) throws -> (noise: Latent, pullback: (Latent) throws -> Latent)
}
