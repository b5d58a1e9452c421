import DiffusionModels

/// One evaluation of the network that somebody asks for.
package struct Evaluation: Equatable, Sendable {
    package let branch: GuidanceBranch
    package let latent: Latent
    package let timestep: Int
    package let masking: AttentionMasking

    package init(branch: GuidanceBranch, latent: Latent, timestep: Int, masking: AttentionMasking) {
        self.branch = branch
        self.latent = latent
        self.timestep = timestep
        self.masking = masking
    }
}

/// Names one evaluation whose pullback is kept, unique within the job.
package struct PassIdentity: Hashable, Sendable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}
