import DiffusionModels
import Failures

/// Which rank computes what: a pure function of the number of ranks.
///
/// A plan is replicas x branches x stages; so far a job has one replica and a branch has one stage, so what is left to
/// divide is the two branches of classifier-free guidance, which split the work exactly in half.
public struct Plan: Sendable, Equatable {
    /// How many ranks there are, all of them used.
    public let ranks: Int

    /// The plan for one image at a time.
    ///
    /// - Throws: a usage failure for a number of ranks that can't be put to use.
    public init(ranks: Int) throws {
        guard (1...GuidanceBranch.allCases.count).contains(ranks) else {
            throw Failure.usage(
                "\(ranks) ranks were started; one image uses 1 or 2, one per guidance branch: "
                    + "start 2 with mpirun -np 2, and give each more cores with --threads")
        }
        self.ranks = ranks
    }

    /// The rank that evaluates `branch`. Rank 0, which drives the job, has the unconditional one in any case.
    public func rank(of branch: GuidanceBranch) -> Int { branch.rawValue * ranks / GuidanceBranch.allCases.count }

    /// What `rank` evaluates, and so must have loaded.
    public func branches(on rank: Int) -> [GuidanceBranch] {
        GuidanceBranch.allCases.filter { self.rank(of: $0) == rank }
    }
}
