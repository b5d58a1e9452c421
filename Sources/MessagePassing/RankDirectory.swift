import Failures

/// Who the ranks are: exchanged once at the start, so that any of them can be named when it is gone.
package struct RankDirectory: Equatable, Sendable {
    package struct Member: Codable, Equatable, Sendable {
        package let rank: Int
        package let hostName: String
        /// Of the program.
        package let version: String
        /// Nil when its machine does not tell.
        package let process: ProcessIdentity?
        /// The name of its doorbell, should it have one.
        package let doorbell: String?

        package init(
            rank: Int, hostName: String, version: String, process: ProcessIdentity?, doorbell: String? = nil
        ) {
            self.rank = rank
            self.hostName = hostName
            self.version = version
            self.process = process
            self.doorbell = doorbell
        }
    }

    /// In the order of the ranks.
    package let members: [Member]

    package init(members: [Member]) { self.members = members }

    /// Tells all ranks who they are. Every rank must call it.
    ///
    /// - Throws: a usage failure on rank 0 when ranks run another version than it does.
    package static func exchange(
        over communicator: any Communicator, version: String, doorbell: String? = nil
    ) async throws -> RankDirectory {
        let own = Member(
            rank: communicator.rank, hostName: communicator.hostName, version: version, process: .current(),
            doorbell: doorbell)
        guard let members = try await communicator.gather(own) else {
            return RankDirectory(members: try await communicator.receive([Member].self, from: 0, tag: .directory))
        }
        let directory = RankDirectory(members: members)
        try directory.checkVersions()
        for other in 1..<max(communicator.size, 1) {
            try await communicator.send(members, to: other, tag: .directory)
        }
        return directory
    }

    package func checkVersions() throws {
        guard let first = members.first else { return }
        let others = members.filter { $0.version != first.version }
        guard let other = others.first else { return }
        let more = others.count > 1 ? " (and \(others.count - 1) more like it)" : ""
        throw Failure.usage(
            "rank \(other.rank) on \(other.hostName) runs version \(other.version) of the program\(more), "
                + "rank \(first.rank) on \(first.hostName) version \(first.version): "
                + "install the same version on every machine")
    }

    /// Whether the two ranks can see each other's processes.
    package func areNeighbours(_ rank: Int, _ other: Int) -> Bool {
        guard let space = members[rank].process?.space else { return rank == other }
        return space == members[other].process?.space
    }

    package func neighbours(of rank: Int) -> [Member] {
        members.filter { $0.rank != rank && areNeighbours($0.rank, rank) }
    }

    /// "rank 1 on node-a (process 12) and rank 2 on node-b (process 5)".
    package func names(of ranks: [Int]) -> String {
        let shown = ranks.prefix(4).map { rank in
            let process = members[rank].process.map { " (process \($0.number))" } ?? ""
            return "rank \(rank) on \(members[rank].hostName)\(process)"
        }
        let more = ranks.count > shown.count ? ["\(ranks.count - shown.count) more"] : []
        let all = shown + more
        return all.count < 2 ? all.joined() : all.dropLast().joined(separator: ", ") + " and " + (all.last ?? "")
    }
}
