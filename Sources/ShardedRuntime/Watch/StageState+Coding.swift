import MessagePassing

extension ByteWriter {
    mutating func write(_ state: StageState) {
        write(state.running)
        write(state.finished)
        write(Int32(clamping: state.destination ?? -1))
        write(Int32(clamping: state.awaited ?? -1))
        write(UInt32(clamping: state.waitingCount))
    }

    private mutating func write(_ moment: StageState.Moment?) {
        write(UInt8(moment == nil ? 0 : 1))
        guard let moment else { return }
        write(moment.task)
        write(MonotonicTime.nanoseconds(moment.seconds))
    }

    private mutating func write(_ task: StageTask) {
        switch task {
        case .leg(let pass, let leg):
            write(UInt8(0))
            write(pass)
            write(leg.rawValue)
        case .picture(let job, let work, let number):
            write(UInt8(1))
            write(PictureRequest(job: job, work: work, number: number))
        }
    }
}

extension ByteReader {
    mutating func readState() throws -> StageState {
        var state = StageState()
        state.running = try readMoment()
        state.finished = try readMoment()
        let destination = Int(try read(Int32.self))
        state.destination = destination < 0 ? nil : destination
        let awaited = Int(try read(Int32.self))
        state.awaited = awaited < 0 ? nil : awaited
        state.waitingCount = Int(try read(UInt32.self))
        return state
    }

    private mutating func readMoment() throws -> StageState.Moment? {
        guard try readFlag() else { return nil }
        let task = try readTask()
        return StageState.Moment(task: task, seconds: MonotonicTime.seconds(try read(Int64.self)))
    }

    private mutating func readTask() throws -> StageTask {
        guard try readFlag() else { return .leg(try readPass(), try readLeg()) }
        return try readRequest().task
    }
}
