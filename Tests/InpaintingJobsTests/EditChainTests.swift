import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import PilotInpainting
import Synchronization
import TensorKernels
import Testing

/// Edits in a row: each paints on the result of the one before.
@Suite struct EditChainTests {
    private static let bands = [4..<14, 20..<30, 24..<40]

    /// Writes masks `0.png` to `2.png`, a band each.
    private func drawMasks(in folder: BatchFolder) throws {
        let image = try DecodedImage.read(folder.file("image.png"))
        for (number, band) in Self.bands.enumerated() {
            let bytes = (0..<image.width * image.height).flatMap { pixel in
                [UInt8](repeating: band.contains(pixel / image.width) ? 255 : 0, count: 3)
            }
            try RGBImage(width: image.width, height: image.height, bytes: bytes)
                .writePNG(to: folder.file("\(number).png"))
        }
    }

    private func draft(_ number: Int, on image: String, to output: String, in folder: BatchFolder) -> JobDraft {
        var draft = folder.defaults
        draft.image = image
        draft.mask = folder.file("\(number).png")
        draft.output = output
        draft.settings.method.seed = UInt64(number)
        return draft
    }

    private func job(_ draft: JobDraft, repeating recorded: JobRecord? = nil) -> InpaintingJob {
        let (settings, outputs) = draft.finished()
        return InpaintingJob(settings: settings, outputs: outputs, repeating: recorded)
    }

    /// Runs jobs one after the other; returns what was warned of.
    @discardableResult
    private func run(_ jobs: [InpaintingJob], in folder: BatchFolder) async throws -> [String] {
        let warnings = Mutex<[String]>([])
        for job in jobs {
            let prepared = try job.prepared(for: folder.model) { event in
                if case .warning(let text) = event { warnings.withLock { $0.append(text) } }
            }
            try await prepared.run(
                on: FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0), ledger: PhaseLedger())
        }
        return warnings.withLock { $0 }
    }

    /// Three edits, from image.png by `a` and `b` to `c.png`.
    private func edit(in folder: BatchFolder, _ names: [String]) async throws {
        try drawMasks(in: folder)
        let images = ["image.png"] + names
        for number in names.indices {
            try await run(
                [job(draft(number, on: folder.file(images[number]), to: folder.file(names[number]), in: folder))],
                in: folder)
        }
    }

    private func chain(from result: String, to output: String) throws -> EditChain {
        let recorded = try JobRecord(repeating: result)
        var draft = JobDraft(model: "", repeating: recorded.settings)
        draft.output = output
        return try EditChain(job(draft, repeating: recorded), from: result)
    }

    private func contents(_ file: String) throws -> Data { try Data(contentsOf: URL(filePath: file)) }

    @Test(arguments: [["a.png", "b.png", "c.png"], ["a.png", "b.jpg", "c.png"], ["a.jpg", "b.jpg", "c.jpg"]])
    func isRepeatedFromTheFirstPhotograph(names: [String]) async throws { try await expectRepetition(names) }

    @Test(.enabled(if: FormatJobTests.hasWebP, "there is no libwebp here"))
    func isRepeatedThroughWebPFiles() async throws { try await expectRepetition(["a.webp", "b.png", "c.webp"]) }

    private func expectRepetition(_ names: [String]) async throws {
        let folder = try BatchFolder()
        try await edit(in: folder, names)
        let record = try JobRecord(fromResult: folder.file(names[2]))
        #expect(record.edits?.map(\.settings.method.seed) == [0, 1])
        #expect(record.edits?[0].settings.image == folder.file("image.png"))
        // Nothing of what came between is needed.
        for name in names.dropLast() { try FileManager.default.removeItem(atPath: folder.file(name)) }
        let output = folder.file("again-\(names[2])")
        let chain = try chain(from: folder.file(names[2]), to: output)
        var files = FileClaims()
        try chain.check(in: &files, overwrites: false)
        #expect(chain.jobs.count == 3)
        #expect(try await run(chain.jobs, in: folder).isEmpty)
        #expect(try contents(output) == contents(folder.file(names[2])))
        guard !names.contains(where: { $0.hasSuffix(".jpg") }) else { return }
        let (before, after) = (
            try DecodedImage.read(folder.file("image.png")).rgb, try DecodedImage.read(output).rgb
        )
        let isSame = (0..<before.height).map { row in
            let pixels = 3 * row * before.width..<3 * (row + 1) * before.width
            return before.bytes[pixels] == after.bytes[pixels]
        }
        #expect(isSame.indices.allSatisfy { row in isSame[row] != Self.bands.contains { $0.contains(row) } })
    }

    /// Files that lie beside the result are found there, and the result's bytes are what they were.
    @Test func isFoundBesideTheResult() async throws {
        let folder = try BatchFolder()
        try drawMasks(in: folder)
        let moved = folder.file("moved")
        try FileManager.default.createDirectory(atPath: moved, withIntermediateDirectories: false)
        for name in ["image.png", "0.png", "1.png"] {
            try FileManager.default.copyItem(atPath: folder.file(name), toPath: "\(moved)/\(name)")
        }
        try await edit(in: folder, ["a.png", "b.png"])
        // As if recorded in the folder that is now elsewhere.
        let picture = try DecodedImage.read(folder.file("b.png"))
        let chunks = picture.textChunks.map {
            TextChunk(keyword: $0.keyword, text: $0.text.replacing("\(folder.path)/", with: ""))
        }
        try picture.rgb.writePNG(to: "\(moved)/b.png", metadata: picture.metadata, textChunks: chunks)
        let chain = try chain(from: "\(moved)/b.png", to: "\(moved)/again.png")
        #expect(chain.jobs.map(\.settings.mask) == ["\(moved)/0.png", "\(moved)/1.png"])
        let warnings = try await run(chain.jobs, in: folder)
        // Only the names were changed, so what was edited before is not what it was, and this is said.
        #expect(warnings.count == 1 && warnings[0].contains("the edit before is not, byte for byte"))
        #expect(try DecodedImage.read("\(moved)/again.png").rgb == picture.rgb)
    }

    @Test func whatCanNotBeRepeatedIsSaid() async throws {
        let folder = try BatchFolder()
        try await edit(in: folder, ["a.png", "b.png", "c.png"])
        let result = folder.file("c.png")
        try FileManager.default.removeItem(atPath: folder.file("0.png"))
        var files = FileClaims()
        let chain = try chain(from: result, to: folder.file("d.png"))
        let gone = #expect(throws: Failure.self) { try chain.check(in: &files, overwrites: false) }
        #expect(gone?.kind == .missingInput)
        #expect(gone?.message.hasPrefix("--from \(result), edit 1 of 3: ") == true, "\(gone?.message ?? "")")

        let recorded = try JobRecord(repeating: result)
        var other = JobDraft(model: "", repeating: recorded.settings)
        other.output = folder.file("d.png")
        other.settings.computation.elementType = .bfloat16
        let mixed = #expect(throws: Failure.self) {
            try EditChain(job(other, repeating: recorded), from: result)
        }
        #expect(mixed?.kind == .usage && mixed?.message.contains("repeated together on one model") == true)

        var unnamed = recorded
        unnamed.edits?[1].settings.mask = ""
        let nameless = #expect(throws: Failure.self) {
            try EditChain(
                job(draft(0, on: "", to: folder.file("d.png"), in: folder), repeating: unnamed), from: result)
        }
        #expect(nameless?.message.contains("edit 2 of 3: its record does not name its files") == true)
    }

    /// A picture whose record can't be read is a picture like any other; so is one after a hundred edits.
    @Test func otherRecordsAreNone() async throws {
        let folder = try BatchFolder()
        try drawMasks(in: folder)
        let image = try DecodedImage.read(folder.file("image.png")).rgb
        try await edit(in: folder, ["a.png"])
        var long = try JobRecord(fromResult: folder.file("a.png"))
        var short = long
        short.edits = nil
        long.edits = Array(repeating: short, count: 100)
        for (number, text) in ["{", "{}", try long.textChunk().text, String(repeating: " ", count: 2 << 20)]
            .enumerated()
        {
            try image.writePNG(
                to: folder.file("other.png"), textChunks: [TextChunk(keyword: JobRecord.keyword, text: text)])
            let output = folder.file("result-\(number).png")
            try await run([job(draft(1, on: folder.file("other.png"), to: output, in: folder))], in: folder)
            #expect(try JobRecord(fromResult: output).edits == nil)
        }
    }

    @Test func namesAreLeftOut() async throws {
        let folder = try BatchFolder()
        try await edit(in: folder, ["a.png"])
        var second = draft(1, on: folder.file("a.png"), to: folder.file("b.png"), in: folder)
        second.extras.recordsPaths = false
        try await run([job(second)], in: folder)
        let text = try JobRecord(fromResult: folder.file("b.png")).textChunk().text
        #expect(text.contains("edits") && !text.contains(folder.path))
    }
}
