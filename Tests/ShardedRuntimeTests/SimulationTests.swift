import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import ShardedRuntime
import TensorKernels
import Testing

/// The prediction of what a layout makes of many pictures.
@Suite struct SimulationTests {
    private static let costs = PlanCosts.of(.tiny, side: 128)
    private static let rungs = costs.rungCount
    private static let even = [[Double]](repeating: [1, 1, 1, 1], count: rungs)

    private func simulation(
        ranks: Int, seconds: [[Double]] = even, passes: PicturePasses = PicturePasses(plain: 5, recorded: 5),
        nodes: Int = 1, network: Calibration.Link = .init(latency: 0, bandwidth: 1e15)
    ) -> Simulation {
        let (calibration, speed) = PlanCosts.machine(Self.costs, seconds: seconds)
        return Simulation(
            Self.costs, cluster: Cluster(ranks: ranks, ranksPerNode: ranks / nodes, memoryPerNode: nil),
            passes: passes, calibration: calibration, speed: speed, network: network)
    }

    private func layout(replicas: Int = 1, branches: Int = 1, stages: Int = 1) throws -> Layout {
        let cuts = try #require(
            StageCuts.balanced(costs: [Double](repeating: 1, count: Self.rungs), stages: stages))
        return Layout(replicas: replicas, branches: branches, stages: cuts)
    }

    /// Rungs of one second each, down, up and twice back: 5 + 5 rounds of two branches.
    private static let secondsOfPicture = Double(2 * rungs * (5 * 2 + 5 * 4))

    @Test func oneRankTakesTheSumOfItsTasks() throws {
        let result = try simulation(ranks: 1).predict(try layout(), jobsInFlight: 1, pictures: 7)
        #expect(abs(result.pictureSeconds - Self.secondsOfPicture) < 1e-6)
        #expect(abs(result.seconds - 7 * Self.secondsOfPicture) < 1e-6)
        #expect(abs(result.utilisation[0] - 1) < 1e-9)
        #expect(abs(result.stepSeconds - Double(4 * Self.rungs)) < 1e-9)
        #expect(abs(result.gradientStepSeconds - Double(8 * Self.rungs)) < 1e-9)
        #expect(abs(result.picturesPerHour - 3600 / Self.secondsOfPicture) < 1e-9)
    }

    @Test func twoBranchesAreTwiceAsFast() throws {
        let result = try simulation(ranks: 2).predict(try layout(branches: 2), jobsInFlight: 1, pictures: 3)
        #expect(abs(result.seconds - 1.5 * Self.secondsOfPicture) < 1e-6)
    }

    @Test func replicasShareNothing() throws {
        let result = try simulation(ranks: 5).predict(try layout(replicas: 5), jobsInFlight: 1, pictures: 11)
        // Eleven pictures on five replicas: one of them makes three.
        #expect(abs(result.seconds - 3 * Self.secondsOfPicture) < 1e-6)
        #expect(abs(result.picturesPerHour - 5 * 3600 / Self.secondsOfPicture) < 1e-6)
    }

    /// Two even stages with jobs enough are twice as fast; one picture on them is as fast as on one rank, but that its
    /// two branches can be on different stages.
    @Test func stagesWantJobs() throws {
        let even = Self.rungs % 2 == 0
        var seconds = Self.even
        if !even { seconds[Self.rungs - 1] = [0, 0, 0, 0] }
        let layout = try layout(stages: 2)
        let simulation = simulation(ranks: 2, seconds: seconds)
        let alone = try self.simulation(ranks: 1, seconds: seconds)
            .predict(try self.layout(), jobsInFlight: 1, pictures: 1)
        let one = try simulation.predict(layout, jobsInFlight: 1, pictures: 1)
        let many = try simulation.predict(layout, jobsInFlight: 8, pictures: 64)
        let loads = layout.stages.map { seconds[$0].joined().reduce(0, +) }
        let balance = loads.reduce(0, +) / (loads.max() ?? 1)
        #expect(one.pictureSeconds <= alone.pictureSeconds && one.pictureSeconds > 0.5 * alone.pictureSeconds)
        let manyAlone = try self.simulation(ranks: 1, seconds: seconds)
            .predict(try self.layout(), jobsInFlight: 8, pictures: 64)
        let speedUp = manyAlone.seconds / many.seconds
        #expect(speedUp > 0.93 * balance && speedUp < 1.005 * balance, "\(speedUp) of \(balance)")
        #expect(many.utilisation.allSatisfy { $0 > 0 && $0 <= 1 + 1e-9 })
    }

    /// As long as there are pictures enough, more jobs in flight only help, but for what the order of tasks may lose now
    /// and then.
    @Test(arguments: [1, 2], [2, 3])
    func moreJobsInFlightAreNotSlower(branches: Int, stages: Int) throws {
        let layout = try layout(branches: branches, stages: stages)
        let simulation = simulation(ranks: layout.ranks)
        let seconds = try [1, 2, 4, 8].map {
            try simulation.predict(layout, jobsInFlight: $0, pictures: 400).seconds
        }
        for (fewer, more) in zip(seconds, seconds.dropFirst()) { #expect(more <= 1.005 * fewer, "\(seconds)") }
        #expect(seconds[3] < seconds[0])
    }

    @Test func slowNetworksTakeTheirTime() throws {
        let layout = try layout(stages: 2)
        let quick = try simulation(ranks: 2, nodes: 2).predict(layout, jobsInFlight: 1, pictures: 1)
        let slow = try simulation(ranks: 2, nodes: 2, network: .init(latency: 0.5, bandwidth: 1e15))
            .predict(layout, jobsInFlight: 1, pictures: 1)
        // Each of the ten rounds goes down and up, five go back too: half a second each way, hidden in part by the other
        // branch.
        #expect(slow.pictureSeconds > quick.pictureSeconds + 5)
        #expect(slow.pictureSeconds < quick.pictureSeconds + 2 * 30 * 0.5)
    }

    /// A driver has something to do, too: for its own replica, however many there are.
    @Test(arguments: [1, 100]) func theDriverCanBeWhatItsReplicaWaitsFor(replicas: Int) throws {
        var (calibration, speed) = PlanCosts.machine(Self.costs, seconds: Self.even)
        speed.threads = 1
        calibration.driverSeconds = Self.secondsOfPicture
        let simulation = Simulation(
            Self.costs, cluster: Cluster(ranks: replicas, ranksPerNode: replicas, memoryPerNode: nil),
            passes: PicturePasses(plain: 5, recorded: 5), calibration: calibration, speed: speed,
            network: calibration.node)
        let result = try simulation.predict(
            try layout(replicas: replicas), jobsInFlight: 16, pictures: 1000 * replicas)
        #expect(result.driverUtilisation == 1)
        // Fifteen answers for each picture.
        let expected = Double(replicas) * 3600 / (15 * Self.secondsOfPicture)
        #expect(abs(result.picturesPerHour / expected - 1) < 1e-6)
    }

    /// Large questions are as quick to answer as small ones: what is simulated is bounded, and so is the error.
    @Test func largeClustersAreExtrapolated() throws {
        let balanced = PicturePasses.balanced
        let stages = min(4, Self.rungs)
        let layout = try layout(replicas: 4096 / (2 * stages), branches: 2, stages: stages)
        let result = try simulation(ranks: 4096, passes: balanced)
            .predict(layout, jobsInFlight: 2 * stages, pictures: 100_000)
        #expect(result.eventCount < 400_000 && result.simulatedJobs <= 6 * stages)
        let small = try simulation(ranks: layout.ranksOfReplica, passes: balanced).predict(
            Layout(branches: 2, stages: layout.stages), jobsInFlight: 2 * stages, pictures: 6 * stages)
        let perReplica = result.picturesPerHour / Double(layout.replicas)
        #expect(abs(perReplica / small.picturesPerHour - 1) < 0.05)
    }

    @Test func theSameQuestionHasTheSameAnswer() throws {
        let layout = try layout(branches: 2, stages: 3)
        let simulation = simulation(ranks: 6)
        let first = try simulation.predict(layout, jobsInFlight: 5, pictures: 40)
        #expect(try simulation.predict(layout, jobsInFlight: 5, pictures: 40) == first)
    }
}

/// One replica, task by task.
@Suite struct SimulationOfAReplicaTests {
    @Test(arguments: [1, 2, 3], [1, 3, 6])
    func everyPassRunsOncePerLeg(stages: Int, jobsInFlight: Int) throws {
        for branches in 1...2 { try checkEveryPass(branches: branches, stages: stages, jobsInFlight: jobsInFlight) }
    }

    private func checkEveryPass(branches: Int, stages: Int, jobsInFlight: Int) throws {
        let costs = PlanCosts.of(.tiny, side: 128)
        let cuts = try #require(
            StageCuts.balanced(costs: [Double](repeating: 1, count: costs.rungCount), stages: stages))
        let layout = Layout(branches: branches, stages: cuts, pictureStage: stages - 1)
        let passes = PicturePasses(rounds: [true, false, true, true, false])
        let jobs = 7
        let speed = Calibration.builtIn.speed(.float32, threads: 1).speed
        let outcome = try Simulation(
            costs, cluster: Cluster(ranks: layout.ranks, ranksPerNode: 2, memoryPerNode: nil), passes: passes,
            calibration: .builtIn, speed: speed, network: .init(latency: 1e-3, bandwidth: 1e8)
        ).replay(layout, jobsInFlight: jobsInFlight, jobs: jobs)
        let picture = costs.pictureTasks
        for rank in 0..<layout.ranks {
            let place = try #require(layout.place(of: rank))
            let legs = place.stage + 1 == stages ? 1 : 2
            let passesHere = jobs * 2 / branches * (passes.rounds.count + passes.recordedCount)
            let extra = layout.pictureRanks == [rank] ? jobs * picture : 0
            #expect(outcome.tasks[rank] == legs * passesHere + extra)
            #expect(outcome.mostKept[rank] <= jobsInFlight * layout.passesOfJob)
            #expect(outcome.busy[rank] <= outcome.completions[jobs - 1])
        }
        #expect(outcome.completions == outcome.completions.sorted() && outcome.completions.count == jobs)
        #expect(outcome.keptAtEnd == 0)
    }
}
