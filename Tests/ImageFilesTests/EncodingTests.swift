import Failures
import Foundation
import ImageFiles
import Testing

private func randomPicture(width: Int, height: Int) -> RGBImage {
    var generator = SeededGenerator(state: 3)
    let bytes = (0..<(width * height * 3)).map { _ in UInt8.random(in: 0...255, using: &generator) }
    return RGBImage(width: width, height: height, bytes: bytes)
}

struct EncodingTests {
    @Test func pixelsAndTextsComeBack() throws {
        let picture = randomPicture(width: 31, height: 17)
        let texts = [
            TextChunk(keyword: "parameters", text: "a café\nSteps: 3"),
            TextChunk(keyword: "pilot", text: #"{"q":"東京 🎨"}"#),
            TextChunk(keyword: "empty", text: ""),
        ]
        try withTemporaryFolder { folder in
            let path = folder + "/out.png"
            try picture.writePNG(to: path, textChunks: texts)
            let decoded = try DecodedImage.read(path)
            #expect(decoded.rgb == picture)
            #expect(decoded.textChunks == texts)
            let file = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(file.range(of: Data("tEXtparameters\0a caf\u{e9}".unicodeScalars.map { UInt8($0.value) })) != nil)
            #expect(file.range(of: Data("iTXtpilot\0".utf8)) != nil)

            try picture.writePNG(to: folder + "/again.png", textChunks: texts)
            #expect(FileManager.default.contentsEqual(atPath: path, andPath: folder + "/again.png"))
        }
    }

    @Test func aZeroByteDoesNotCutAText() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/out.png"
            try randomPicture(width: 1, height: 1).writePNG(
                to: path, textChunks: [TextChunk(keyword: "a", text: "b\0c")])
            #expect(try DecodedImage.read(path).textChunks == [TextChunk(keyword: "a", text: "bc")])
        }
    }

    @Test func aFailureLeavesNothingBehind() throws {
        let picture = randomPicture(width: 3, height: 3)
        #expect(failure { try picture.writePNG(to: "/dev/full") }?.kind == .inputOutput)
        try withTemporaryFolder { folder in
            #expect(failure { try picture.writePNG(to: folder + "/none/out.png") }?.kind == .inputOutput)
            let keyword = [TextChunk(keyword: "", text: "a keyword can't be empty")]
            #expect(
                failure { try picture.writePNG(to: folder + "/out.png", textChunks: keyword) }?.kind == .internalFault)
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left.isEmpty)
        }
    }

    /// A limit on file sizes stops the writing half-way, as a full disk does. In a process of its own, which it binds.
    @Test func whatIsHalfWrittenIsRemovedAndTheOldFileKept() async {
        await #expect(processExitsWith: .success) {
            try withTemporaryFolder { folder in
                let path = folder + "/out.png"
                try AtomicFile.write(to: path) { try $0.write("old") }
                signal(SIGXFSZ, SIG_IGN)
                var limit = rlimit(rlim_cur: 10_000, rlim_max: 10_000)
                precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
                let thrown = failure { try randomPicture(width: 100, height: 100).writePNG(to: path) }
                precondition(thrown?.message == "cannot write \(path): File too large")
                let left = try FileManager.default.contentsOfDirectory(atPath: folder)
                precondition(left == ["out.png"])
                let old = try String(contentsOfFile: path, encoding: .utf8)
                precondition(old == "old")
            }
        }
    }

    @Test func parametersFollowTheConvention() {
        let parameters = GenerationParameters(
            prompt: "a red bench, oil", negativePrompt: "people",
            settings: [
                .init("Steps", "50"), .init("Size", "512x512"), .init("Mask", "say \"no\", or\nC:\\x"),
            ])
        let text = """
            a red bench, oil
            Negative prompt: people
            Steps: 50, Size: 512x512, Mask: "say \\"no\\", or\\nC:\\\\x"
            """
        #expect(parameters.textChunk == TextChunk(keyword: "parameters", text: text))
        #expect(GenerationParameters(prompt: "a", settings: [.init("Seed", "1")]).text == "a\nSeed: 1")
    }
}
