import Failures
import TensorKernels

extension UNetStage {
    /// What a T2I-Adapter adds on rungs of this stage, scaled, by the rung of the ladder.
    ///
    /// - Parameter mask: the latent mask, which is of the latent's size.
    /// - Throws: an internal fault when a feature is missing, or is not of its level's shape.
    public func features(
        _ inputs: FeatureInputs, mask: Latent, in context: ComputeContext
    ) throws -> [Int: Tensor] {
        let levels = configuration.featureRungs
        guard inputs.features.count == levels.count else {
            throw Failure.internalFault("\(inputs.features.count) features for the \(levels.count) levels of the UNet")
        }
        let sizes = configuration.levelSizes(height: mask.height, width: mask.width)
        return try levels.indices.reduce(into: [:]) { all, level in
            guard rungs.contains(levels[level]) else { return }
            let expected = [configuration.blockChannels[level], sizes[level].height, sizes[level].width]
            guard let feature = inputs.features[level], feature.shape == expected else {
                let found = inputs.features[level].map { "\($0.shape)" } ?? "none"
                throw Failure.internalFault("expected a feature \(expected) for level \(level + 1), found \(found)")
            }
            let tensor = Tensor(
                planes: feature.values, channels: feature.channels, height: feature.height, width: feature.width,
                in: context.with(elementType: .float32))
            all[levels[level]] = tensor.scaled(by: Float(inputs.scale), in: context)
        }
    }
}
