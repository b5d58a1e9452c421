/// Jobs of which some paint on the results of others.
struct BatchOrder {
    /// In an order in which every image is made before it is needed: first all that need none, then all that need theirs,
    /// and so on, so that few wait; otherwise in the lines' order.
    private(set) var jobs: [BatchJob] = []
    /// Jobs that are not among these: those of circles, and those that need them.
    private(set) var stranded: [BatchJob] = []
    /// Lines that need each other's results, each circle in the order of the lines.
    private(set) var circles: [[Int]] = []

    init(_ jobs: [BatchJob]) {
        var makers: [String: Int] = [:]
        for (index, job) in jobs.enumerated() { makers[job.picture] = index }
        func maker(of job: Int) -> Int? { jobs[job].needs.flatMap { makers[$0] } }

        /// How many edits go before a job; nil for jobs that none can come before.
        var depths: [Int?] = Array(repeating: nil, count: jobs.count)
        var isKnown = [Bool](repeating: false, count: jobs.count)
        for start in jobs.indices where !isKnown[start] {
            // From the job to what it needs, and so on, as far as that is not known.
            var path = [start]
            var places = [start: 0]
            while let last = path.last, let next = maker(of: last), !isKnown[next] {
                if let place = places[next] {
                    circles.append(Set(path[place...].map { jobs[$0].line }).sorted())
                    for job in path { isKnown[job] = true }
                    break
                }
                places[next] = path.count
                path.append(next)
            }
            for job in path.reversed() where !isKnown[job] {
                isKnown[job] = true
                guard let next = maker(of: job) else {
                    depths[job] = 0
                    continue
                }
                depths[job] = depths[next].map { $0 + 1 }
            }
        }
        self.jobs = jobs.indices.compactMap { job in depths[job].map { (depth: $0, job: job) } }
            .sorted { ($0.depth, $0.job) < ($1.depth, $1.job) }.map { jobs[$0.job] }
        stranded = jobs.indices.filter { depths[$0] == nil }.map { jobs[$0] }
        circles.sort { $0[0] < $1[0] }
    }
}
