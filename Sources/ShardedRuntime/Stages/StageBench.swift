import DiffusionModels
import Failures
import MessagePassing

/// What a rank computes with, and on which thread.
public struct StageWorkers: Sendable {
    public let stage: any StageEvaluator
    /// The networks around the UNet, on ranks that have them.
    public let pictures: (any PictureEvaluator)?
    public let thread: DedicatedThread
    /// The ways to other strips, by which `stage` and `pictures` compute.
    public let wires: StripWires

    public init(
        stage: any StageEvaluator, pictures: (any PictureEvaluator)?, thread: DedicatedThread, wires: StripWires
    ) {
        self.stage = stage
        self.pictures = pictures
        self.thread = thread
        self.wires = wires
    }
}

/// What a task gives.
enum TaskOutcome {
    case stage(StageValue, PassSettings)
    /// Nil as long as the work goes on.
    case picture(PictureValue?)
}

/// A rank's passes and pictures under way. Only the compute thread touches it: that is what makes it safe to share.
///
/// What the first strip of a stage does here, it tells the others, who do the same in the same order: so all of them meet
/// in every exchange of rows.
final class StageBench: @unchecked Sendable {
    private let evaluator: any StageEvaluator
    private let pictureEvaluator: (any PictureEvaluator)?
    private let thread: DedicatedThread
    /// Tells the other strips; nil where there are none, and on these.
    private let tell: ((StageMessage) -> Void)?
    /// Tells those that encode and decode with this rank.
    private let tellOfPictures: ((StageMessage) -> Void)?
    private var passes: [PassIdentity: (computation: any StageComputation, settings: PassSettings)] = [:]
    private var pictures: [StageTask: any PictureComputation] = [:]
    private var clock: PhaseClock

    /// - Parameters:
    ///   - recorder: takes down the tasks.
    ///   - tell: tells the other strips, where this is the first of several.
    ///   - tellOfPictures: the same of the strips of pictures.
    init(
        _ workers: StageWorkers, recorder: TraceRecorder? = nil, tell: ((StageMessage) -> Void)? = nil,
        tellOfPictures: ((StageMessage) -> Void)? = nil
    ) {
        clock = PhaseClock(recorder, waited: { [wires = workers.wires] in wires.waitedNanoseconds })
        self.tell = tell
        self.tellOfPictures = tellOfPictures
        evaluator = workers.stage
        pictureEvaluator = workers.pictures
        thread = workers.thread
    }

    var times: PhaseTimes { clock.times }
    /// How many passes hold something.
    var passCount: Int { passes.count }

    /// What the stage below is told of a branch. Depends on nothing that changes, so any thread may ask.
    func passedOn(_ inputs: BranchInputs) -> BranchInputs { evaluator.passedOn(inputs) }

    func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        try evaluator.open(job, branch, inputs)
        // The others prepare at the same time.
        tell?(.open(job, branch, inputs))
        try evaluator.prepare(for: inputs)
    }

    func close(_ job: JobIdentity) {
        evaluator.close(job)
        tell?(.close(job))
    }

    func free(_ pass: PassIdentity) {
        if passes.removeValue(forKey: pass) != nil { tell?(.discard(pass)) }
    }

    func run(_ task: StageTask, _ input: TaskInput?) throws -> TaskOutcome {
        precondition(thread.isCurrent, "tasks belong on the compute thread")
        return try clock.measure(task, sent: input?.sent) {
            switch task {
            case .leg(let pass, let leg): try run(pass, leg, input)
            case .picture(_, let work, _): .picture(try advance(task, work, input))
            }
        }
    }

    private func run(_ pass: PassIdentity, _ leg: Leg, _ input: TaskInput?) throws -> TaskOutcome {
        guard let input, case .stage(let value) = input.value else {
            throw Failure.internalFault("a leg of a pass came without its input")
        }
        if leg == .down, let settings = input.settings {
            passes[pass] = (try evaluator.begin(pass, settings), settings)
        }
        guard let (computation, settings) = passes[pass] else {
            throw Failure.internalFault("pass \(pass.number) of job \(pass.job.number) is not under way here")
        }
        tell?(.leg(pass, leg, settings, value))
        return .stage(try computation.run(leg, value), settings)
    }

    /// Does the next bit of work on a picture.
    private func advance(_ task: StageTask, _ work: PictureWork, _ input: TaskInput?) throws -> PictureValue? {
        do {
            let computation: any PictureComputation
            if let known = pictures[task] {
                computation = known
                tellOthers(task) { .pictureBit($0) }
            } else {
                guard let input, case .picture(let value) = input.value, let pictureEvaluator else {
                    throw Failure.internalFault("work on a picture came without its input, or to a rank that has none")
                }
                computation = try pictureEvaluator.begin(work, value)
                pictures[task] = computation
                tellOthers(task) { .picture($0, value) }
            }
            guard let result = try computation.advance() else { return nil }
            end(task)
            return result
        } catch {
            end(task)
            throw error
        }
    }

    /// Encoding and decoding alone are done in strips: a prompt has no rows, and what adapters make takes no time.
    private func tellOthers(_ task: StageTask, _ message: (PictureRequest) -> StageMessage) {
        guard let tellOfPictures, case .picture(let job, let work, let number) = task,
            work == .encode || work == .decode
        else { return }
        tellOfPictures(message(PictureRequest(job: job, work: work, number: number)))
    }

    private func end(_ task: StageTask) {
        pictures[task] = nil
        if pictures.isEmpty { pictureEvaluator?.rest() }
    }
}
