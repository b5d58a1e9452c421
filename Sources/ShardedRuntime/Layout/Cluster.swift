/// The machines that a layout is for: equal ones, which launchers fill with ranks one after the other.
public struct Cluster: Sendable, Equatable {
    public let ranks: Int
    /// On each machine but the last, which may have fewer.
    public let ranksPerNode: Int
    /// What each machine grants, in bytes; nil where nobody knows, which bounds nothing.
    public let memoryPerNode: Double?
    /// What a limit leaves each rank for itself, in bytes; nil where there is none.
    public let memoryPerRank: Double?

    /// - Precondition: there is at least one rank, and at least one on a node.
    public init(ranks: Int, ranksPerNode: Int, memoryPerNode: Double?, memoryPerRank: Double? = nil) {
        precondition(ranks > 0 && ranksPerNode > 0, "there is at least a rank")
        self.ranks = ranks
        self.ranksPerNode = min(ranksPerNode, ranks)
        self.memoryPerNode = memoryPerNode
        self.memoryPerRank = memoryPerRank
    }

    public var nodes: Int { (ranks + ranksPerNode - 1) / ranksPerNode }
}
