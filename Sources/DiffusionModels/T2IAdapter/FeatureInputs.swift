/// What a T2I-Adapter gives in one job: the same to both branches, at every timestep at which it acts.
public struct FeatureInputs: Sendable, Equatable {
    /// `[C, h, w]` for each level of the UNet, from the top; nil where a stage and those below have nothing of the level.
    public internal(set) var features: [Latent?]
    /// What they are multiplied with.
    public let scale: Double

    public init(features: [Latent?], scale: Double) {
        self.features = features
        self.scale = scale
    }
}

extension BranchInputs {
    /// The same for the stages below one with `rungs`: without the maps, which the first stage sees alone, and without the
    /// features of levels that end there or above.
    public func below(_ rungs: Range<Int>, of unet: UNetConfiguration) -> BranchInputs {
        var copy = belowFirstStage
        for index in copy.adapters.indices {
            for (level, rung) in zip(copy.adapters[index].features.indices, unet.featureRungs)
            where rung < rungs.upperBound { copy.adapters[index].features[level] = nil }
        }
        return copy
    }
}
