import DiffusionModels

/// All the method asks of a network: the noise one guidance branch predicts, and its input gradient.
///
/// Where the branches run (here, on another rank, in stages over many) is not the method's business; it writes
/// `async let` for the two and waits.
public protocol NoisePredictor: Sendable {
    /// The predicted noise (or velocity, for a v-prediction model) eps_b(z, t), same shape as the latent.
    func noise(_ evaluation: Evaluation) async throws -> Latent

    /// As `noise`, with the pullback s -> J^T s: the vector-Jacobian product with respect to the latent.
    ///
    /// The pullback is to be called once at most; dropping it is allowed and frees what it holds.
    func noiseWithPullback(
        _ evaluation: Evaluation
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent)
}
