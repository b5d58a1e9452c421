import DiffusionModels
import ShardedRuntime
import Testing

/// What is told of a wait that grows long, before the job is given up.
@Suite struct StallNoticeTests {
    private let pass = PassIdentity(job: JobIdentity(number: 4), branch: .conditional, number: 12)
    private let hosts = [0: "a", 1: "b", 2: "c"]

    private func computing(_ seconds: Double) -> StageState {
        var state = StageState()
        state.running = StageState.Moment(task: .leg(pass, .down), seconds: seconds)
        return state
    }

    private func notice(
        _ states: [Int: StageState], waited: Double, secondsSinceArrival: Double? = nil, hosts: [Int: String]? = nil
    ) -> StallNotice? {
        StallReport(
            layout: Layout(branches: 1, stages: [0..<2, 2..<5, 5..<6]), timeout: 300,
            waits: [.init(.task(.leg(pass, .down)), ranks: [0, 1, 2], seconds: waited)], ranks: [0, 1, 2],
            states: states,
            hosts: hosts ?? self.hosts
        ).notice(patience: 10, secondsSinceArrival: secondsSinceArrival ?? waited)
    }

    @Test func aRankThatDoesNotAnswerIsNamed() {
        let found = notice([0: StageState(), 2: StageState()], waited: 12)
        #expect(found == StallNotice(cause: .silence, seconds: 12, ranks: "rank 1 on b"))
        // Others' progress does not hide it.
        let one = notice([0: StageState(), 2: StageState()], waited: 12, secondsSinceArrival: 0.1)
        #expect(one == found)
        let two = notice([0: StageState()], waited: 75)
        #expect(two == StallNotice(cause: .silence, seconds: 75, ranks: "rank 1 on b and rank 2 on c"))
        #expect(notice([:], waited: 75)?.ranks == "3 ranks, rank 0 on a the first")
    }

    @Test func aRankThatIsNotThereYetIsToldApart() {
        let found = notice([0: StageState(), 1: StageState()], waited: 12, hosts: [0: "a", 1: "b"])
        #expect(found == StallNotice(cause: .absence, seconds: 12, ranks: "rank 2"))
    }

    @Test func ranksThatComputeAreNamedWhenNothingComes() {
        let states = [0: StageState(), 1: computing(11), 2: StageState()]
        #expect(notice(states, waited: 12) == StallNotice(cause: .work, seconds: 12, ranks: "rank 1 on b"))
        let idle = notice([0: StageState(), 1: StageState(), 2: StageState()], waited: 12)
        #expect(idle?.cause == .transit)
    }

    /// A stream of pictures has waits of any age, and moves.
    @Test func whatMovesIsNoNews() {
        let states = [0: StageState(), 1: computing(11), 2: StageState()]
        #expect(notice(states, waited: 40, secondsSinceArrival: 3) == nil)
        #expect(notice(states, waited: 9) == nil)
        #expect(notice([:], waited: 9) == nil)
    }
}
