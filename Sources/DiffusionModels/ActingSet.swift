/// Which of a job's ControlNets, or of its T2I-Adapters, act in one evaluation, by their numbers.
public struct ActingSet: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// How many of a kind a job may have.
    public static let most = 16

    /// - Parameter number: 0 for the first.
    public static func one(_ number: Int) -> ActingSet { ActingSet(rawValue: 1 << UInt64(number)) }

    /// - Parameter count: of all that the job has of the kind.
    public func numbers(of count: Int) -> [Int] { (0..<count).filter { contains(.one($0)) } }
}
