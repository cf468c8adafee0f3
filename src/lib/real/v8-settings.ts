/**
 * V8's settings of the program: importing this makes them. It comes before anything else is compiled, since kept code is of
 * one setting; threads that start later have them too.
 */
import { setFlagsFromString } from 'node:v8'

// By itself V8 begins to mark the old heap as soon as less of its limit is left than the young one may grow to; with 30 MB
// of live objects that is at once after each collection, again and again, and each takes tens of milliseconds from whoever
// waits for an answer. Told in percent of what is left, it waits.
setFlagsFromString('--incremental-marking-soft-trigger=80')
setFlagsFromString('--incremental-marking-hard-trigger=95')
// Columns, state and what was read lie outside the heap. By itself V8 collects everything for each 64 MB of them, be there
// gigabytes of state; told so, it goes by a part of all that lives.
setFlagsFromString('--external-memory-accounted-in-global-limit')
// Where much is allocated V8 lets that part be a tenth, and collects at every tenth that state grows by; let it be as much again.
setFlagsFromString('--heap-growing-percent=100')
// A view's thread has some 14 MB of objects, and what it reads comes and goes by 4 MB: twice what lives is reached some ten
// times a second. Threads, whose heaps are made later than this, are let be up to so many megabytes.
setFlagsFromString('--initial-heap-size=96')
