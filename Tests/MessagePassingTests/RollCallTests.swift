import Failures
import Foundation
import MessagePassing
import Testing

@Suite struct RankDirectoryTests {
    @Test func everyRankLearnsWhoTheOthersAre() async throws {
        let directories = try await withThrowingTaskGroup(of: RankDirectory.self) { group in
            for rank in LocalCommunicator.group(of: 3) {
                group.addTask { try await RankDirectory.exchange(over: rank, version: "1") }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(directories.count == 3)
        #expect(directories.allSatisfy { $0 == directories[0] })
        #expect(directories[0].members.map(\.rank) == [0, 1, 2])
        #expect(directories[0].members.allSatisfy { $0.process?.number == getpid() })
        #expect(directories[0].areNeighbours(0, 2))
    }

    @Test func anotherVersionIsRefusedByRankHostAndBothVersions() {
        let members = [(0, "a", "1.0"), (1, "b", "1.0"), (2, "c", "1.1")].map {
            RankDirectory.Member(rank: $0.0, hostName: $0.1, version: $0.2, process: nil)
        }
        #expect(throws: Never.self) { try RankDirectory(members: Array(members.prefix(2))).checkVersions() }
        #expect(
            throws: Failure.usage(
                "rank 2 on c runs version 1.1 of the program, rank 0 on a version 1.0: "
                    + "install the same version on every machine")
        ) { try RankDirectory(members: members).checkVersions() }
    }
}

@Suite struct ProcessIdentityTests {
    @Test func aProcessIsGoneWhenItHasEndedAndNotBefore() throws {
        let own = try #require(ProcessIdentity.current())
        #expect(!own.isGone)
        let earlier = ProcessIdentity(number: own.number, startTime: own.startTime - 1, space: own.space)
        #expect(earlier.isGone)

        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/bin/cat")
        child.standardInput = Pipe()
        try child.run()
        guard case .entry(let entry) = ProcessEntry.read(child.processIdentifier) else {
            Issue.record("the child is not in /proc")
            return
        }
        let identity = ProcessIdentity(
            number: child.processIdentifier, startTime: entry.startTime, space: own.space)
        #expect(!identity.isGone)
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
        #expect(identity.isGone)
    }

    @Test func theSystemsLineIsReadWhateverTheProgramsName() throws {
        let tail = "1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 %d 0 4242 0 0"
        func line(_ name: String, _ state: String, threads: Int) -> String {
            "12 (\(name)) \(state) " + tail.replacingOccurrences(of: "%d", with: String(threads))
        }
        let running = try #require(ProcessEntry(stat: line("a) Z (b", "S", threads: 3)))
        #expect(!running.hasEnded)
        #expect(running.startTime == 4242)
        #expect(ProcessEntry(stat: line("pilot", "Z", threads: 1))?.hasEnded == true)
        #expect(ProcessEntry(stat: line("pilot", "Z", threads: 4))?.hasEnded == false)
        #expect(ProcessEntry(stat: "") == nil)
        #expect(ProcessEntry(stat: "12 (pilot) S 1") == nil)
    }
}

@Suite struct RollCallTests {
    /// Ranks 0 to 2 on a, 3 and 4 on b, 5 on c.
    private func rollCall(_ rank: Int) -> RollCall {
        let members = Array("aaabbc").enumerated().map { rank, host in
            RankDirectory.Member(
                rank: rank, hostName: String(host), version: "1",
                process: ProcessIdentity(number: Int32(100 + rank), startTime: 1, space: String(host)))
        }
        return RollCall(rank: rank, directory: RankDirectory(members: members))
    }

    @Test func theLowestRankLeftOnAMachineNamesThoseThatAreGone() {
        let gone = { (process: ProcessIdentity) in [100, 101].contains(process.number) }
        #expect(rollCall(2).goneNeighbours(isGone: gone) == [0, 1])
        #expect(rollCall(2).speaks(of: [0, 1]))
        #expect(rollCall(3).goneNeighbours(isGone: gone) == [])
        #expect(!rollCall(3).speaks(of: []))
        #expect(rollCall(0).speaks(of: [1]))
        #expect(!rollCall(2).speaks(of: [1]))
        #expect(rollCall(4).speaks(of: [3]))
        #expect(
            rollCall(2).obituary(of: [0, 1])
                == "rank 0 on a (process 100) and rank 1 on a (process 101) died: "
                + "killed (for memory, perhaps), or crashed")
    }

    @Test func whoDoesNotAnswerIsNamedByRank0() throws {
        let first = rollCall(0)
        #expect(first.spokesmen == [0, 3])
        #expect(first.silent(heard: [3]) == [4, 5])
        #expect(first.statement(on: "x", heard: [3, 4, 5], isExplained: false) == "x: Ctrl-C or a time limit")
        let text = try #require(first.statement(on: "x", heard: [3, 4], isExplained: false))
        #expect(text.hasPrefix("x, and nothing was heard from rank 5 on c (process 105): "))
        #expect(first.statement(on: "x", heard: [3], isExplained: true) == nil)
    }

    @Test func whenRank0sMachineIsSilentAnotherSpeaks() throws {
        let second = rollCall(3)
        #expect(second.statement(on: "x", heard: [4, 5, 2], isExplained: false) == nil)
        let text = try #require(second.statement(on: "x", heard: [4, 5], isExplained: false))
        #expect(
            text.hasPrefix(
                "x, and nothing was heard from rank 0 on a (process 100), rank 1 on a (process 101) "
                    + "and rank 2 on a (process 102): "))
        #expect(rollCall(5).statement(on: "x", heard: [], isExplained: false) == nil)
    }

    @Test func manyNamesAreCutShort() {
        let text = rollCall(0).directory.names(of: [0, 1, 2, 3, 4, 5])
        #expect(text.hasSuffix("rank 3 on b (process 103) and 2 more"))
    }
}
