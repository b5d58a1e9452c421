/// What a ControlNet works with in one job.
public struct ControlInputs: Sendable, Equatable {
    /// `[3, H, W]` at the job's size, in [0, 1], with the channels in the net's order; nil below the first stage.
    public var map: Latent?
    /// What the net's outputs are multiplied with.
    public let scale: Double
    /// Whether the outputs of the upper rungs count less.
    public let guesses: Bool

    public init(map: Latent?, scale: Double, guesses: Bool) {
        self.map = map
        self.scale = scale
        self.guesses = guesses
    }
}
