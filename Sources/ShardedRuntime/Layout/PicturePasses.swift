/// What one picture asks of the UNet, in the order in which it asks: each round is an evaluation of both branches.
public struct PicturePasses: Sendable, Equatable {
    /// Whether each round is recorded, and its gradient asked for.
    public let rounds: [Bool]

    public init(rounds: [Bool]) { self.rounds = rounds }

    /// As many, recorded ones evenly among the others.
    public init(plain: Int, recorded: Int) {
        let count = plain + recorded
        rounds = (0..<count).map { ($0 + 1) * recorded / count > $0 * recorded / count }
    }

    public var recordedCount: Int { rounds.count { $0 } }
    public var plainCount: Int { rounds.count - recordedCount }
    public var hasGradients: Bool { rounds.contains(true) }

    /// The preset `balanced`: 50 steps, 5 of them with 10 gradient steps before.
    public static let balanced = PicturePasses(plain: 50, recorded: 50)
}
