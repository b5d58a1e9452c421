/// Finds out why a launcher ends the ranks, in the second that it leaves them: it tells none of them which one died.
///
/// A rank sees for itself which processes of its own machine are gone, and the lowest one that is left names them. A
/// whole machine's ranks may be gone, and no one left there to say so: every rank therefore answers to two spokesmen,
/// on two machines, and who does not answer is named by the first of the two that is left.
package struct RollCall: Sendable {
    package let rank: Int
    package let directory: RankDirectory

    package init(rank: Int, directory: RankDirectory) {
        self.rank = rank
        self.directory = directory
    }

    /// Those of this rank's own machine that are gone.
    package func goneNeighbours(isGone: (ProcessIdentity) -> Bool = { $0.isGone }) -> [Int] {
        directory.neighbours(of: rank).filter { $0.process.map(isGone) ?? false }.map(\.rank)
    }

    /// Whether it is for this rank to name those of its machine that are gone: all lower ones are.
    package func speaks(of gone: [Int]) -> Bool {
        !gone.isEmpty && directory.neighbours(of: rank).allSatisfy { $0.rank > rank || gone.contains($0.rank) }
    }

    /// Rank 0, and the first rank of another machine than its.
    package var spokesmen: [Int] {
        [0] + directory.members.map(\.rank).filter { !directory.areNeighbours(0, $0) }.prefix(1)
    }

    /// Those of other machines that have not answered.
    package func silent(heard: Set<Int>) -> [Int] {
        directory.members.map(\.rank).filter { !directory.areNeighbours(rank, $0) && !heard.contains($0) }
    }

    /// What a spokesman, whose own machine's ranks are all there, has to say about a stop for `reason`; nil when that
    /// is for another one to say.
    ///
    /// - Parameters:
    ///   - heard: the ranks that answered.
    ///   - isExplained: whether one of them has named those who died.
    package func statement(on reason: String, heard: Set<Int>, isExplained: Bool) -> String? {
        let isFirstThere =
            rank == 0
            || directory.members.contains {
                directory.areNeighbours(0, $0.rank) && heard.contains($0.rank)
            }
        guard !isExplained, spokesmen.contains(rank), rank == 0 || !isFirstThere else { return nil }
        let silent = silent(heard: heard)
        guard !silent.isEmpty else { return "\(reason): Ctrl-C or a time limit" }
        return "\(reason), and nothing was heard from \(directory.names(of: silent)): dead (killed for memory, "
            + "perhaps), or its machine is out of reach"
    }

    package func obituary(of gone: [Int]) -> String {
        "\(directory.names(of: gone)) died: killed (for memory, perhaps), or crashed"
    }
}
