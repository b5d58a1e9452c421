import DiffusionModels

/// Predicts what a layout makes of a number of pictures.
///
/// One replica is simulated, event by event, or two where the first has rank 0, which pictures come from and go to, on the
/// same machine and others have not: replicas share nothing but that. Three times as many jobs as are in flight are simulated at most; when the
/// first of these waves is painted a replica is in its stride, and until the second is it stays there, with the third to
/// go on with: the time of further jobs is extrapolated from the work done meanwhile. Where that would be more than
/// `taskBudget` tasks, pictures of fewer rounds stand for the real ones, with less work on the pictures themselves in the
/// same proportion. Messages do not wait for each other on a link. A driver's own time is counted for its replica.
public struct Simulation: Sendable {
    /// What is predicted.
    public struct Prediction: Sendable, Equatable {
        /// One picture alone: seconds of a plain step's evaluation, of a gradient step, and of the whole picture.
        public let stepSeconds: Double
        public let gradientStepSeconds: Double
        public let pictureSeconds: Double
        /// All pictures, and how many an hour once the ranks are in their stride.
        public let seconds: Double
        public let picturesPerHour: Double
        /// The share of its time in which each rank of a replica computes, strips of one stage counted as one.
        public let utilisation: [Double]
        /// The share of its time that a replica's driver needs at most; 1 where it is what all wait for.
        public let driverUtilisation: Double
        /// How many jobs of how many replicas were simulated, and how many times fewer rounds they had.
        public let simulatedJobs: Int
        public let thinning: Double
        public let eventCount: Int
    }

    /// How many tasks one layout's simulation has at most, about a tenth of a second's.
    static let taskBudget = 50_000
    private static let waves = 3

    private let costs: LadderCosts
    private let machine: SimulatedMachine
    private let passes: PicturePasses

    /// - Parameter network: between machines.
    public init(
        _ costs: LadderCosts, cluster: Cluster, passes: PicturePasses, calibration: Calibration,
        speed: Calibration.Speed, network: Calibration.Link
    ) {
        self.costs = costs
        self.passes = passes
        machine = SimulatedMachine(
            cluster: cluster, times: TaskTimes(costs, speed), calibration: calibration,
            slowdownPerNeighbour: speed.slowdownPerNeighbour, network: network)
    }

    /// - Parameters:
    ///   - jobsInFlight: of each replica.
    ///   - pictures: how many are to be made.
    public func predict(_ layout: Layout, jobsInFlight: Int, pictures: Int) throws -> Prediction {
        let mostJobs = layout.mostPicturesOfReplica(pictures)
        let alone = try ReplicaSimulation(model(layout, 0, jobsInFlight: 1, thinning: 1).model, jobs: 1, window: 0..<1)
            .run()
        let first = try stream(layout, replica: 0, jobsInFlight: jobsInFlight, jobs: mostJobs)
        let isSpread = machine.cluster.nodes > 1 && layout.replicas > 1
        let others =
            isSpread
            ? try stream(layout, replica: layout.replicas - 1, jobsInFlight: jobsInFlight, jobs: mostJobs) : first
        let replicas = Double(layout.replicas)
        let perSecond = 1 / first.interval + (replicas - 1) / others.interval
        let driver = driverSecondsOfPicture / min(first.interval, others.interval)
        let slowdown = max(1, driver)
        let rounds = Double(alone.completions.last ?? 0)
        return Prediction(
            stepSeconds: alone.plain.mean, gradientStepSeconds: alone.recorded.mean, pictureSeconds: rounds,
            seconds: slowdown * max(first.seconds, others.seconds), picturesPerHour: 3600 * perSecond / slowdown,
            utilisation: first.utilisation.map { $0 / slowdown }, driverUtilisation: min(1, driver),
            simulatedJobs: first.jobs, thinning: first.thinning, eventCount: first.eventCount + alone.eventCount)
    }

    /// All of one replica's work on so many jobs, for tests.
    package func replay(_ layout: Layout, jobsInFlight: Int, jobs: Int) throws -> ReplicaSimulation.Outcome {
        try ReplicaSimulation(
            model(layout, 0, jobsInFlight: jobsInFlight, thinning: 1).model, jobs: jobs, window: 0..<jobs
        ).run()
    }

    /// What one replica does with a stream of pictures.
    private struct Stream {
        let seconds: Double
        /// Between two pictures, in its stride.
        let interval: Double
        let utilisation: [Double]
        let jobs: Int
        let thinning: Double
        let eventCount: Int
    }

    private func stream(_ layout: Layout, replica: Int, jobsInFlight: Int, jobs: Int) throws -> Stream {
        let simulated = min(jobs, Self.waves * jobsInFlight)
        let full = model(layout, replica, jobsInFlight: jobsInFlight, thinning: 1).model
        let wanted = Double(full.tasksOfPicture * simulated) / Double(Self.taskBudget)
        let (model, thinning) = model(layout, replica, jobsInFlight: jobsInFlight, thinning: max(1, wanted))
        let window = simulated == Self.waves * jobsInFlight ? jobsInFlight..<2 * jobsInFlight : 0..<simulated
        let outcome = try ReplicaSimulation(model, jobs: simulated, window: window).run()
        let start = window.lowerBound > 0 ? outcome.painted[window.lowerBound - 1] : 0
        let length = outcome.painted[window.upperBound - 1] - start
        // Jobs end in bunches, so the work that is done tells more than the jobs that end.
        let workOfJob = outcome.busy.reduce(0, +) / Double(simulated)
        let interval = length * workOfJob / outcome.busyInWindow.reduce(0, +)
        let end = outcome.completions.last ?? 0
        return Stream(
            seconds: thinning * (end + Double(jobs - simulated) * interval), interval: thinning * interval,
            utilisation: outcome.busyInWindow.map { $0 / length }, jobs: simulated,
            thinning: thinning, eventCount: outcome.eventCount)
    }

    /// The replica's model, with about so many times fewer rounds, and how many times less there is to compute.
    private func model(
        _ layout: Layout, _ replica: Int, jobsInFlight: Int, thinning: Double
    ) -> (model: ReplicaModel, thinning: Double) {
        func thinned(_ count: Int) -> Int { count == 0 ? 0 : max(1, Int((Double(count) / thinning).rounded())) }
        let fewer =
            thinning > 1
            ? PicturePasses(plain: thinned(passes.plainCount), recorded: thinned(passes.recordedCount)) : passes
        let exact = thinning > 1 ? seconds(passes) / seconds(fewer) : 1
        let model = ReplicaModel(
            layout, replica: replica, jobsInFlight: jobsInFlight, passes: fewer, thinning: exact, costs: costs,
            machine: machine)
        return (model, exact)
    }

    private func seconds(_ passes: PicturePasses) -> Double {
        let all = 0..<costs.rungCount
        return Double(passes.plainCount) * machine.times.seconds(ofPassOn: all, isRecorded: false)
            + Double(passes.recordedCount) * machine.times.seconds(ofPassOn: all, isRecorded: true)
    }

    private var driverSecondsOfPicture: Double {
        machine.calibration.driverSeconds * Double(passes.rounds.count + passes.recordedCount)
    }
}
