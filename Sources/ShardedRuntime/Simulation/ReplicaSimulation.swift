import DiffusionModels
import Failures

/// One replica at work, event by event: the scheduler of every rank decides as it does in the server, tasks and messages
/// take the time that the model says, and the replica's driver does with every job what the sampler does. What rank 0 asks
/// of pictures comes from there.
///
/// A job is begun when there is room for it, or for the one before it: its prompts and its photograph are encoded while
/// others are painted.
package struct ReplicaSimulation {
    /// What came of it.
    package struct Outcome: Sendable, Equatable {
        /// When each job was done, in the order in which they were.
        package var completions: [Double] = []
        /// When each job asked the UNet for nothing more.
        package var painted: [Double] = []
        /// Seconds in which each rank computed: in all, and in the simulation's window.
        package var busy: [Double]
        package var busyInWindow: [Double]
        /// How many tasks each rank did.
        package var tasks: [Int]
        /// The most passes that each rank kept at a time, and those that it keeps at the end.
        package var mostKept: [Int]
        package var keptAtEnd: Int = 0
        /// Rounds of each kind, and the seconds they took together.
        package var plain = RoundSum()
        package var recorded = RoundSum()
        package var eventCount = 0

        package struct RoundSum: Sendable, Equatable {
            package var count = 0
            package var seconds = 0.0
            package var mean: Double { count > 0 ? seconds / Double(count) : 0 }
        }
    }

    private enum Event {
        case arrived(rank: Int, StageTask, isRecorded: Bool)
        case finished(rank: Int, StageTask)
        case result(PassIdentity)
        case pictureDone(JobIdentity, PictureWork, number: UInt32)
        case round(job: Int)
    }

    private struct Job {
        var round = -1
        var isInGradient = false
        var resultsMissing = 0
        var roundStart = 0.0
    }

    private let model: ReplicaModel
    private let window: Range<Int>
    private let jobCount: Int
    private var queue = EventQueue<Event>()
    private var schedulers: [StageScheduler]
    /// When each rank began the task that it runs.
    private var started: [Double?]
    private var bitsLeft: [StageTask: Int] = [:]
    private var jobs: [Job] = []
    private var ready: [Int] = []
    private var openJobs = 0
    private var preparing = 0
    private var outcome: Outcome

    /// - Parameter window: from when so many jobs are painted until as many as its end says are, the replica is taken to
    ///   be in its stride.
    init(_ model: ReplicaModel, jobs jobCount: Int, window: Range<Int>) {
        self.model = model
        self.jobCount = jobCount
        self.window = window
        let ranks = model.layout.ranks
        let capacity = model.jobsInFlight * model.layout.passesOfJob
        schedulers = (0..<ranks).map { rank in
            StageScheduler(
                isLast: rank / model.layout.branches + 1 == model.layout.stages.count, capacity: capacity)
        }
        started = [Double?](repeating: nil, count: ranks)
        let zeros = [Double](repeating: 0, count: ranks)
        outcome = Outcome(
            busy: zeros, busyInWindow: zeros, tasks: [Int](repeating: 0, count: ranks),
            mostKept: [Int](repeating: 0, count: ranks))
    }

    /// Runs all jobs to their end.
    ///
    /// - Throws: an internal fault if the scheduler finds an event that can't be, or work is left when nothing happens
    ///   any more.
    consuming func run() throws -> Outcome {
        begin(at: 0)
        while let (time, event) = queue.pop() {
            outcome.eventCount += 1
            try handle(event, at: time)
        }
        guard outcome.completions.count == jobCount else {
            throw Failure.internalFault(
                "the simulated ranks stopped with \(outcome.completions.count) of \(jobCount) jobs done")
        }
        outcome.keptAtEnd = schedulers.reduce(0) { $0 + $1.keptCount }
        return outcome
    }

    private mutating func handle(_ event: Event, at time: Double) throws {
        switch event {
        case .arrived(let rank, let task, let isRecorded):
            try decide(.arrived(task, isRecorded: isRecorded), on: rank, at: time)
        case .finished(let rank, let task):
            outcome.busy[rank] += time - (started[rank] ?? time)
            started[rank] = nil
            var isOver = true
            if case .picture(_, let work, _) = task {
                let left = (bitsLeft[task] ?? bitsOfTask(work)) - 1
                bitsLeft[task] = left > 0 ? left : nil
                isOver = left == 0
            }
            try decide(.finished(task, isOver: isOver), on: rank, at: time)
        case .result(let pass):
            let job = Int(pass.job.number)
            jobs[job].resultsMissing -= 1
            if jobs[job].resultsMissing == 0 { queue.push(.round(job: job), at: time + model.roundSeconds) }
        case .round(let job): advance(job, at: time)
        case .pictureDone(let identity, let work, let number):
            pictureDone(Int(identity.number), work, number, at: time)
        }
    }

    /// Begins and ends the window.
    private mutating func look(at time: Double) {
        let count = outcome.painted.count
        if count == window.lowerBound { outcome.busyInWindow = busy(until: time).map { -$0 } }
        if count == window.upperBound { outcome.busyInWindow = zip(outcome.busyInWindow, busy(until: time)).map(+) }
    }

    private func busy(until time: Double) -> [Double] {
        outcome.busy.indices.map { rank in outcome.busy[rank] + max(0, time - (started[rank] ?? time)) }
    }

    private func bitsOfTask(_ work: PictureWork) -> Int { work == .embed ? 1 : model.bitCount(of: work) }

    // MARK: Ranks

    private mutating func decide(_ event: StageScheduler.Event, on rank: Int, at time: Double) throws {
        for command in try schedulers[rank].handle(event) {
            switch command {
            case .run(let task):
                started[rank] = time + model.overhead
                outcome.tasks[rank] += 1
                queue.push(
                    .finished(rank: rank, task), at: time + model.overhead + model.seconds(of: task, on: rank))
            case .deliver(let task): deliver(task, from: rank, at: time)
            case .drop, .free: break
            }
        }
        outcome.mostKept[rank] = max(outcome.mostKept[rank], schedulers[rank].keptCount)
    }

    private mutating func deliver(_ task: StageTask, from rank: Int, at time: Double) {
        switch task {
        case .leg(let pass, let leg):
            let branches = model.layout.branches
            guard let next = ReplicaModel.next(leg, rank / branches, of: model.layout) else {
                queue.push(.result(pass), at: time + model.driverSeconds[rank])
                return
            }
            let isRecorded = model.passes.rounds[jobs[Int(pass.job.number)].round]
            queue.push(
                .arrived(rank: next.stage * branches + rank % branches, .leg(pass, next.leg), isRecorded: isRecorded),
                at: time + model.messageSeconds(of: leg, from: rank))
        case .picture(let job, let work, let number):
            queue.push(.pictureDone(job, work, number: number), at: time + model.dealerSeconds)
        }
    }

    // MARK: The driver

    /// Begins jobs as long as there is room for them, and one to have ready.
    private mutating func begin(at time: Double) {
        while jobs.count < jobCount, openJobs + ready.count + preparing < model.jobsInFlight + 1 {
            jobs.append(Job())
            preparing += 1
            ask(.embed, number: 0, of: jobs.count - 1, at: time)
        }
    }

    private mutating func ask(_ work: PictureWork, number: UInt32, of job: Int, at time: Double) {
        let task = StageTask.picture(JobIdentity(number: UInt32(job)), work, number: number)
        queue.push(.arrived(rank: model.pictureRank, task, isRecorded: false), at: time + model.dealerSeconds)
    }

    private mutating func pictureDone(_ job: Int, _ work: PictureWork, _ number: UInt32, at time: Double) {
        switch work {
        case .embed:
            // One prompt after the other, then the photograph.
            let isLast = Int(number) + 1 == GuidanceBranch.allCases.count
            ask(isLast ? .encode : .embed, number: isLast ? 0 : number + 1, of: job, at: time)
        case .encode:
            preparing -= 1
            ready.append(job)
        case .decode:
            outcome.completions.append(time)
        case .adapt, .see:
            // Counted with what is encoded.
            break
        }
        admit(at: time)
    }

    /// Gives the room that there is to jobs that are ready for it.
    private mutating func admit(at time: Double) {
        while openJobs < model.jobsInFlight, !ready.isEmpty {
            openJobs += 1
            advance(ready.removeFirst(), at: time)
        }
        begin(at: time)
    }

    /// Both branches have come back: the gradient, the next round, or the decoding.
    private mutating func advance(_ job: Int, at time: Double) {
        let round = jobs[job].round
        if round >= 0 {
            let isRecorded = model.passes.rounds[round]
            if isRecorded, !jobs[job].isInGradient {
                jobs[job].isInGradient = true
                ask(.upGradient, of: job, at: time)
                return
            }
            let seconds = time - jobs[job].roundStart
            if isRecorded {
                outcome.recorded.count += 1
                outcome.recorded.seconds += seconds
            } else {
                outcome.plain.count += 1
                outcome.plain.seconds += seconds
            }
        }
        guard round + 1 < model.passes.rounds.count else {
            ask(.decode, number: 0, of: job, at: time)
            outcome.painted.append(time)
            look(at: time)
            openJobs -= 1
            admit(at: time)
            return
        }
        jobs[job].round = round + 1
        jobs[job].isInGradient = false
        jobs[job].roundStart = time
        ask(.down, of: job, at: time)
    }

    private mutating func ask(_ leg: Leg, of job: Int, at time: Double) {
        jobs[job].resultsMissing = GuidanceBranch.allCases.count
        for branch in GuidanceBranch.allCases {
            let pass = PassIdentity(
                job: JobIdentity(number: UInt32(job)), branch: branch, number: UInt32(jobs[job].round + 1))
            let rank = model.layout.chain(of: branch, replica: 0)[0]
            queue.push(
                .arrived(rank: rank, .leg(pass, leg), isRecorded: model.passes.rounds[jobs[job].round]),
                at: time + model.driverSeconds[rank])
        }
    }
}
