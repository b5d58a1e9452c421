import DiffusionModels
import ShardedRuntime

/// A chain of schedulers with a driver above, whose messages and tasks end in an order that a seed chooses: messages of
/// one link keep their order, nothing else does.
struct RandomChain {
    private enum Message {
        case leg(PassIdentity, Leg)
        case discard(PassIdentity)
        case returned(PassIdentity)
    }

    /// What the driver does with a pass.
    private enum Use: CaseIterable {
        case noise, gradient, dropsPullback, cancelsForward, cancelsGradient, failsSomewhere
    }

    private var schedulers: [StageScheduler]
    /// Into each stage from above, and from below.
    private var down: [[Message]]
    private var up: [[Message]]
    /// From the top stage to the driver.
    private var results: [(pass: PassIdentity, isGradient: Bool, hasFailed: Bool)] = []
    private var uses: [PassIdentity: Use] = [:]
    private var planned: [[PassIdentity]] = []
    private var generator: SplitMix
    private(set) var unfinished = 0
    private(set) var broken: String?

    init(stages: Int, jobs: Int, seed: UInt64) {
        generator = SplitMix(state: seed)
        schedulers = (0..<stages).map {
            StageScheduler(isLast: $0 == stages - 1, capacity: jobs * GuidanceBranch.allCases.count)
        }
        down = [[Message]](repeating: [], count: stages)
        up = [[Message]](repeating: [], count: stages)
        for job in 1...jobs {
            for branch in GuidanceBranch.allCases {
                let count = Int.random(in: 1...4, using: &generator)
                let passes = (1...count).map {
                    PassIdentity(job: JobIdentity(number: UInt32(job)), branch: branch, number: UInt32($0))
                }
                for pass in passes { uses[pass] = Use.allCases.randomElement(using: &generator) }
                planned.append(passes)
                unfinished += count
            }
        }
    }

    var isDone: Bool { unfinished == 0 }
    var leftovers: Int {
        schedulers.reduce(0) { $0 + $1.keptCount + $1.waitingCount + $1.openDiscards + ($1.running == nil ? 0 : 1) }
    }

    mutating func run() throws {
        for lane in planned.indices { startNext(lane) }
        while let event = nextEvent() { try event(&self) }
    }

    /// One of all the things that could happen now.
    private mutating func nextEvent() -> ((inout RandomChain) throws -> Void)? {
        var choices: [(inout RandomChain) throws -> Void] = []
        for stage in schedulers.indices {
            if !down[stage].isEmpty { choices.append { try $0.take(\.down, at: stage) } }
            if !up[stage].isEmpty { choices.append { try $0.take(\.up, at: stage) } }
            if let task = schedulers[stage].running { choices.append { try $0.finish(task, at: stage) } }
        }
        if !results.isEmpty { choices.append { $0.takeResult() } }
        return choices.randomElement(using: &generator)
    }

    private mutating func take(_ link: WritableKeyPath<RandomChain, [[Message]]>, at stage: Int) throws {
        switch self[keyPath: link][stage].removeFirst() {
        case .leg(let pass, let leg):
            let isRecorded = uses[pass] != .noise && uses[pass] != .cancelsForward
            try handle(.arrived(.leg(pass, leg), isRecorded: isRecorded), at: stage)
        case .discard(let pass):
            let isLast = stage == schedulers.count - 1
            if !isLast { down[stage + 1].append(.discard(pass)) }
            try handle(.discarded(pass), at: stage)
            if isLast { try discardReturned(pass, at: stage) }
        case .returned(let pass):
            try discardReturned(pass, at: stage)
        }
    }

    private mutating func discardReturned(_ pass: PassIdentity, at stage: Int) throws {
        if stage > 0 { up[stage - 1].append(.returned(pass)) }
        try handle(.discardReturned(pass), at: stage)
    }

    private mutating func finish(_ task: StageTask, at stage: Int) throws {
        if let pass = task.pass, uses[pass] == .failsSomewhere, Int.random(in: 0..<4, using: &generator) == 0 {
            try handle(.failed(task), at: stage)
            results.append((pass, isGradient: false, hasFailed: true))
        } else {
            try handle(.finished(task, isOver: true), at: stage)
        }
    }

    private mutating func handle(_ event: StageScheduler.Event, at stage: Int) throws {
        for command in try schedulers[stage].handle(event) {
            guard case .deliver(.leg(let pass, let leg)) = command else { continue }
            let goesDown = (leg == .down || leg == .upGradient) && stage < schedulers.count - 1
            if goesDown {
                down[stage + 1].append(.leg(pass, leg))
            } else if stage > 0 {
                up[stage - 1].append(.leg(pass, leg.isGradient ? .downGradient : .up))
            } else {
                results.append((pass, isGradient: leg.isGradient, hasFailed: false))
            }
        }
        if schedulers[stage].keptCount > schedulers[stage].capacity + 1 { broken = "too many passes are kept" }
    }

    private mutating func startNext(_ lane: Int) {
        guard let pass = planned[lane].first else { return }
        down[0].append(.leg(pass, .down))
        if uses[pass] == .cancelsForward { discard(pass) }
    }

    private mutating func takeResult() {
        let (pass, isGradient, hasFailed) = results.removeFirst()
        // A cancelled pass has no waiter any more.
        guard planned.contains(where: { $0.first == pass }) else { return }
        switch uses[pass] {
        case .gradient where !isGradient && !hasFailed, .failsSomewhere where !isGradient && !hasFailed:
            down[0].append(.leg(pass, .upGradient))
        case .cancelsGradient where !isGradient:
            down[0].append(.leg(pass, .upGradient))
            discard(pass)
        case .dropsPullback,
            .failsSomewhere where hasFailed:
            discard(pass)
        default: end(pass)
        }
    }

    private mutating func discard(_ pass: PassIdentity) {
        down[0].append(.discard(pass))
        end(pass)
    }

    private mutating func end(_ pass: PassIdentity) {
        guard let lane = planned.firstIndex(where: { $0.first == pass }) else { return }
        planned[lane].removeFirst()
        unfinished -= 1
        startNext(lane)
    }
}

/// A small generator whose sequence is its seed's alone.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
