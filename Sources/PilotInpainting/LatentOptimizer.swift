import DiffusionModels

/// Gradient descent with momentum on a latent: v = momentum v - lr g, z = z + v, with v = 0 at the start.
///
/// Make a new one at every optimised timestep: no velocity is carried over.
public struct LatentOptimizer: Sendable {
    private let momentum: Float
    private let learningRate: Float
    private var velocity: [Float]?

    public init(momentum: Double, learningRate: Double) {
        self.momentum = Float(momentum)
        self.learningRate = Float(learningRate)
    }

    /// Moves `latent` one step against `gradient`, of equal shape.
    public mutating func step(_ latent: inout Latent, gradient: Latent) {
        precondition(latent.shape == gradient.shape, "a gradient must have its latent's shape")
        var velocity = self.velocity ?? [Float](repeating: 0, count: latent.values.count)
        for index in velocity.indices {
            velocity[index] = momentum * velocity[index] - learningRate * gradient.values[index]
            latent.values[index] += velocity[index]
        }
        self.velocity = velocity
    }
}
