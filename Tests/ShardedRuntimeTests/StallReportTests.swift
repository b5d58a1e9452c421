import DiffusionModels
import Failures
import ShardedRuntime
import Testing

/// What the answers of the ranks mean, without ranks.
@Suite struct StallReportTests {
    private let layout = Layout(replicas: 2, branches: 1, stages: [0..<2, 2..<5, 5..<6])
    private let hosts = Dictionary(uniqueKeysWithValues: (0..<6).map { ($0, "node-\($0)") })

    private func pass(_ job: UInt32 = 4, _ number: UInt32 = 12) -> PassIdentity {
        PassIdentity(job: JobIdentity(number: job), branch: .conditional, number: number)
    }

    private func state(
        running: (Leg, Double)? = nil, finished: (Leg, Double)? = nil, to destination: Int? = nil, job: UInt32 = 4
    ) -> StageState {
        var state = StageState()
        state.running = running.map { StageState.Moment(task: .leg(pass(job), $0.0), seconds: $0.1) }
        state.finished = finished.map { StageState.Moment(task: .leg(pass(job), $0.0), seconds: $0.1) }
        state.destination = destination
        return state
    }

    private func report(
        _ states: [Int: StageState], waits: Double = 301, hosts: [Int: String]? = nil
    ) -> StallReport {
        StallReport(
            layout: layout, timeout: 300,
            waits: [.init(.task(.leg(pass(), .down)), ranks: [0, 1, 2], seconds: waits)], ranks: Array(0..<6),
            states: [3: state(), 4: state(), 5: state()].merging(states) { $1 }, hosts: hosts ?? self.hosts)
    }

    @Test func aLongTaskIsNamedWithItsJobAndWhoWaits() throws {
        let failure = try #require(
            report([0: state(finished: (.down, 302.5), to: 1), 1: state(running: (.down, 301.9)), 2: state()]).failure)
        #expect(failure.kind == .internalFault)
        #expect(
            failure.message
                == "no progress for 301 s: rank 1 on node-1 has run `down` of job 4 (conditional, pass 12, rungs 2..4) "
                + "for 301 s; ranks 0 and 2 wait; should that be only slow, give a longer --stall-timeout")
    }

    @Test func aRankThatDoesNotAnswerIsNamedWithWhatItHas() throws {
        let down = try #require(report([0: state(finished: (.down, 302), to: 1), 2: state()]).failure)
        #expect(
            down.message
                == "no progress for 301 s: rank 1 on node-1 does not answer (it is stopped, or its machine or network is "
                + "gone), and has `down` of job 4 (conditional, pass 12, rungs 2..4); ranks 0 and 2 wait")
        let up = try #require(report([0: state(), 2: state(finished: (.down, 302), to: 1)]).failure)
        #expect(up.message.contains("and has `up` of job 4"))
        let gradient = try #require(report([0: state(), 2: state(finished: (.upGradient, 302), to: 1)]).failure)
        #expect(gradient.message.contains("and has `downGradient` of job 4"))
    }

    @Test func aRankThatNeverBeganIsToldApart() throws {
        let failure = try #require(report([0: state(), 1: state()], hosts: [0: "a", 1: "b"]).failure)
        #expect(failure.message.contains("rank 2 has not begun to serve"))
    }

    @Test func whatIsLostOnItsWayIsToldFromWhereItWasLast() throws {
        let failure = try #require(report([0: state(), 1: state(finished: (.down, 305), to: 2), 2: state()]).failure)
        #expect(failure.message.contains("no rank runs a task"))
        #expect(
            failure.message.hasSuffix(
                "rank 1 on node-1 ended `down` of job 4 (conditional, pass 12, rungs 2..4) "
                    + "305 s ago, for rank 2 on node-2"))
    }

    /// Tasks end, though not those of the pass that is overdue: nothing is wrong.
    @Test(arguments: [1.0, 299])
    func progressOfTheSameRanksIsProgress(seconds: Double) {
        let busy = report([0: state(running: (.down, seconds), job: 1), 1: state(), 2: state()])
        #expect(busy.failure == nil)
        let done = report([0: state(), 1: state(), 2: state(finished: (.up, seconds), to: 1, job: 1)])
        #expect(done.failure == nil)
        #expect(done.secondsToNextQuestion == max(300 - seconds, 30))
    }

    /// The other replica's progress is none for this one.
    @Test func progressElsewhereIsNone() {
        let states = [
            0: state(finished: (.up, 400)), 1: state(), 2: state(), 4: state(finished: (.up, 1), to: 3, job: 9),
        ]
        #expect(report(states).failure != nil)
    }

    @Test func manyCulpritsMakeAShortLine() throws {
        let layout = Layout(branches: 1, stages: (0..<12).map { $0..<$0 + 1 })
        let failure = try #require(
            StallReport(
                layout: layout, timeout: 1,
                waits: [.init(.task(.leg(pass(), .down)), ranks: Array(0..<12), seconds: 2)],
                ranks: Array(0..<12), states: [:], hosts: [:]
            ).failure)
        #expect(failure.message.contains("and 8 more ranks"))
        #expect(failure.message.count < 900)
    }
}
