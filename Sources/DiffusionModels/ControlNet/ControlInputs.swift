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

/// Which of a job's ControlNets act in one evaluation, by their numbers.
public struct ControlSet: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// How many nets a job may have.
    public static let mostNets = 16

    /// - Parameter number: 0 for the first.
    public static func net(_ number: Int) -> ControlSet { ControlSet(rawValue: 1 << UInt64(number)) }

    /// - Parameter count: of the job's nets.
    public func numbers(of count: Int) -> [Int] { (0..<count).filter { contains(.net($0)) } }
}
