extension Latent {
    /// Each element through `transform`.
    public func mapped(_ transform: (Float) -> Float) -> Latent {
        Latent(channels: channels, height: height, width: width, values: values.map(transform))
    }

    /// The elements of this latent and of `other`, pair by pair through `transform`.
    ///
    /// - Precondition: equal shapes.
    public func zipped(with other: Latent, _ transform: (Float, Float) -> Float) -> Latent {
        precondition(shape == other.shape, "latents combined element by element must have one shape")
        let combined = values.indices.map { transform(values[$0], other.values[$0]) }
        return Latent(channels: channels, height: height, width: width, values: combined)
    }
}
